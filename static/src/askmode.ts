// Whether the instruction bar asks for an edit or asks a question, and which answer a question goes on from.
import { ObservableV2 } from "lib0/observable";
import { need } from "./dom";
import type { Mode } from "./protocol";
import type { Run } from "./runs";

export class AskMode extends ObservableV2<{ change: () => void; ask: () => void }> {
  readonly #inputs = [...need("#mode").querySelectorAll<HTMLInputElement>("input")];
  /** The answer that the next question goes on from. */
  onto: Run | null = null;

  constructor() {
    super();
    for (const input of this.#inputs) {
      input.addEventListener("change", () => {
        this.onto = null;
        this.emit("change", []);
      });
    }
  }

  get mode(): Mode {
    return this.#inputs.find((input) => input.checked)?.value === "ask" ? "ask" : "edit";
  }

  set(mode: Mode, onto: Run | null = null): void {
    for (const input of this.#inputs) input.checked = input.value === mode;
    this.onto = onto;
    this.emit("change", []);
  }

  /** The bar is to be ready for another question behind this answer. */
  askOn(run: Run): void {
    this.set("ask", run);
    this.emit("ask", []);
  }
}
