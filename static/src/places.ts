// Lines that an answer speaks of: `src/main.py:12`, "line 12", or a line quoted to the letter.
import type { FileStore } from "./filestore";

export interface Place {
  file: string;
  line: number;
}

// A quoted piece shorter than this may stand anywhere.
const QUOTED = 8;

export class Places {
  #texts = new Map<string, string[]>();

  /** `file`: the one that the question was asked in. */
  constructor(
    readonly files: FileStore,
    readonly file: string,
  ) {}

  /** By number; the path may be a part of one. Null where there is no such line. */
  line(path: string | null, line: number): Place | null {
    const file = path === null ? this.file : this.#find(path);
    return file !== null && line >= 1 && line <= this.#lines(file).length ? { file, line } : null;
  }

  /** By its text, in this file, else in another that holds it once. */
  quoted(text: string): Place | null {
    const wanted = text.trim();
    if (!/\w/.test(wanted) || wanted.includes("\n")) return null;
    for (const file of [this.file, ...this.files.list().map((entry) => entry.id)]) {
      const lines = this.#lines(file);
      const whole = lines.flatMap((each, at) => (each.trim() === wanted ? [at + 1] : []));
      if (whole.length === 1 || (whole.length > 1 && file === this.file)) return { file, line: whole[0] ?? 1 };
      if (wanted.length < QUOTED || whole.length > 0) continue;
      const part = lines.flatMap((each, at) => (each.includes(wanted) ? [at + 1] : []));
      if (part.length === 1) return { file, line: part[0] ?? 1 };
    }
    return null;
  }

  #find(path: string): string | null {
    const named = this.files.list().filter((entry) => entry.path === path || entry.path.endsWith(`/${path}`));
    return named.length === 1 ? (named[0]?.id ?? null) : (named.find((entry) => entry.path === path)?.id ?? null);
  }

  #lines(file: string): string[] {
    let lines = this.#texts.get(file);
    if (!lines) {
      lines = (this.files.text(file)?.toString() ?? "").split("\n");
      this.#texts.set(file, lines);
    }
    return lines;
  }
}
