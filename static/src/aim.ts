// Which lines Enter would give to the model, as the server has chosen them for the instruction that is being typed here.
import { ObservableV2 } from "lib0/observable";
import type { FileStore } from "./filestore";
import { lineCount } from "./placed";
import type { Region } from "./protocol";
import { type Sticky, stick } from "./sticky";

export class Aim extends ObservableV2<{ change: () => void }> {
  #file = "";
  #regions: Sticky[] = [];
  #words = "";

  constructor(readonly files: FileStore) {
    super();
  }

  /** For people: "1 line", "3 lines" or "12 places"; empty while nothing is aimed at. */
  get words(): string {
    return this.#words;
  }

  regions(file: string): Sticky[] {
    return file === this.#file ? this.#regions : [];
  }

  show(file: string, regions: Region[]): void {
    const text = this.files.text(file);
    const [region] = regions;
    if (!text || !region) {
      this.clear();
      return;
    }
    this.#file = file;
    this.#regions = regions.map((each) => stick(text, each));
    const count = region.last_line - region.first_line + 1;
    this.#words = regions.length > 1 ? `${regions.length} places` : lineCount(count);
    this.emit("change", []);
  }

  clear(): void {
    if (this.#regions.length === 0) return;
    this.#regions = [];
    this.#words = "";
    this.emit("change", []);
  }
}
