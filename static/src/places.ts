// Lines that an answer speaks of: `src/main.py:12`, "line 12", or a line quoted to the letter.
import type * as Y from "yjs";
import type { FileStore } from "./filestore";

export interface Place {
  file: string;
  line: number;
}

/** A file's text as it is looked up in. */
interface Version {
  of: Y.Text;
  text: string;
  count: number;
  /** By what stands in them, without the spaces around it: the first such line, and how many there are. */
  whole: Map<string, { line: number; times: number }>;
}

// A quoted piece shorter than this may stand anywhere.
const QUOTED = 8;

/** The files' texts, each split once for each version of it. */
export class Texts {
  readonly #versions = new Map<string, Version>();

  constructor(readonly files: FileStore) {}

  get(file: string): Version | null {
    const of = this.files.text(file);
    if (!of) return null;
    const known = this.#versions.get(file);
    if (known?.of === of) return known;
    const text = of.toString();
    const lines = text.split("\n");
    const whole: Version["whole"] = new Map();
    for (const [at, line] of lines.entries()) {
      const key = line.trim();
      const same = whole.get(key);
      if (same) same.times++;
      else whole.set(key, { line: at + 1, times: 1 });
    }
    const version = { of, text, count: lines.length, whole };
    this.#versions.set(file, version);
    const changed = () => {
      of.unobserve(changed);
      if (this.#versions.get(file) === version) this.#versions.delete(file);
    };
    of.observe(changed);
    return version;
  }
}

export class Places {
  readonly files: FileStore;

  /** `file`: the one that the question was asked in. */
  constructor(
    readonly texts: Texts,
    readonly file: string,
  ) {
    this.files = texts.files;
  }

  /** By number; the path may be a part of one. Null where there is no such line. */
  line(path: string | null, line: number): Place | null {
    const file = path === null ? this.file : this.#find(path);
    return file !== null && line >= 1 && line <= (this.texts.get(file)?.count ?? 0) ? { file, line } : null;
  }

  /** By its text, in this file, else in another that holds it once. */
  quoted(text: string): Place | null {
    const wanted = text.trim();
    if (!/\w/.test(wanted) || wanted.includes("\n")) return null;
    for (const file of [this.file, ...this.files.list().map((entry) => entry.id)]) {
      const version = this.texts.get(file);
      if (!version) continue;
      const whole = version.whole.get(wanted);
      if (whole && (whole.times === 1 || file === this.file)) return { file, line: whole.line };
      if (wanted.length < QUOTED || whole) continue;
      const line = onlyLineWith(version.text, wanted);
      if (line !== null) return { file, line };
    }
    return null;
  }

  #find(path: string): string | null {
    const named = this.files.list().filter((entry) => entry.path === path || entry.path.endsWith(`/${path}`));
    return named.length === 1 ? (named[0]?.id ?? null) : (named.find((entry) => entry.path === path)?.id ?? null);
  }
}

function onlyLineWith(text: string, wanted: string): number | null {
  const at = text.indexOf(wanted);
  if (at === -1) return null;
  const end = text.indexOf("\n", at);
  if (end !== -1 && text.indexOf(wanted, end) !== -1) return null;
  return text.slice(0, at).split("\n").length;
}
