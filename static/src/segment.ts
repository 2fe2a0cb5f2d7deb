// One segment of the history, read: its steps, and the files as they were after any of them.
import { createDecoder, readVarUint, readVarUint8Array } from "lib0/decoding";
import * as Y from "yjs";
import { Lifetimes, type Piece } from "./lifetimes";

export interface Step {
  /** The update's id, by which the server knows the version. */
  version: number;
  /** ms since 1970. */
  at: number;
  /** Who wrote; null if it only deleted. */
  wrote: [client: number, clock: number] | null;
  /** The file that it changed first. */
  file: string | null;
}

export interface OldFile {
  id: string;
  path: string;
}

// The page stays responsive while a long segment is read.
const SLICE_MS = 12;

export class Segment {
  readonly #lifetimes = new Lifetimes();
  // Without collecting: what a step has deleted is there for the steps before it.
  readonly #doc = new Y.Doc({ gc: false });
  readonly #pieces = new Map<string, Piece[]>();
  /** Step 0 is the state before the segment. */
  readonly steps: Step[] = [];

  private constructor() {}

  /** `progress` is told the part that is read, from 0 to 1. */
  static async read(data: Uint8Array, progress: (part: number) => void): Promise<Segment> {
    const segment = new Segment();
    const decoder = createDecoder(data);
    const count = readVarUint(decoder);
    let breathed = performance.now();
    for (let step = 0; step < count; ) {
      segment.#doc.transact(() => {
        for (; step < count && performance.now() - breathed < SLICE_MS; step++) {
          const version = readVarUint(decoder);
          const at = readVarUint(decoder);
          const update = readVarUint8Array(decoder);
          Y.applyUpdate(segment.#doc, update);
          segment.steps.push({ version, at, wrote: segment.#lifetimes.record(step, update), file: null });
        }
      });
      progress(step / count);
      await new Promise((resolve) => setTimeout(resolve));
      breathed = performance.now();
    }
    segment.#lifetimes.settle();
    segment.#findFiles();
    return segment;
  }

  get last(): number {
    return this.steps.length - 1;
  }

  filesAt(step: number): OldFile[] {
    const files = this.#doc.getMap("files");
    return [...files._map.keys()]
      .flatMap((id) => {
        const entry = this.#valueAt(files, id, step);
        const path = entry instanceof Y.Map ? this.#valueAt(entry, "path", step) : null;
        return typeof path === "string" ? [{ id, path }] : [];
      })
      .sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }) || a.id.localeCompare(b.id));
  }

  /** All that ever stood in the file, in order. */
  pieces(file: string): readonly Piece[] {
    return this.#pieces.get(file) ?? [];
  }

  textAt(file: string, step: number): string {
    return this.pieces(file)
      .filter((piece) => piece.born <= step && step < piece.died)
      .map((piece) => piece.text)
      .join("");
  }

  #findFiles(): void {
    const files = this.#doc.getMap("files");
    for (const [id, newest] of files._map) {
      const pieces: Piece[] = [];
      // An id names one text, but anybody may have put another in its place.
      for (const held of values(newest)) {
        this.#mark(held, id);
        if (!(held.value instanceof Y.Map)) continue;
        for (const each of held.value._map.values()) for (const value of values(each)) this.#mark(value, id);
        for (const { value } of values(held.value._map.get("text"))) {
          if (value instanceof Y.Text) this.#readText(value, pieces);
        }
      }
      this.#pieces.set(id, pieces);
      for (const piece of pieces) {
        this.#changed(piece.born, id);
        this.#changed(piece.died, id);
      }
    }
  }

  #readText(text: Y.Text, pieces: Piece[]): void {
    for (let item = text._start; item !== null; item = item.right) {
      if (!(item.content instanceof Y.ContentString)) continue;
      pieces.push(...this.#lifetimes.pieces(item.id.client, item.id.clock, item.content.str));
    }
  }

  #mark({ client, clock }: Held, file: string): void {
    this.#changed(this.#lifetimes.born(client, clock), file);
    this.#changed(this.#lifetimes.died(client, clock), file);
  }

  #changed(step: number, file: string): void {
    const changed = this.steps[step];
    if (changed) changed.file ??= file;
  }

  /** What a key held after the step. */
  #valueAt(map: Y.Map<unknown>, key: string, step: number): unknown {
    for (const { client, clock, value } of values(map._map.get(key))) {
      if (this.#lifetimes.born(client, clock) > step) continue;
      return this.#lifetimes.died(client, clock) > step ? value : undefined;
    }
    return undefined;
  }
}

interface Held {
  client: number;
  clock: number;
  value: unknown;
}

/** The values of a key, the newest first. Yjs merges those that one client set in a row into one item. */
function* values(newest: Y.Item | undefined): Generator<Held> {
  for (let item: Y.Item | null = newest ?? null; item !== null; item = item.left) {
    const { client, clock } = item.id;
    const held = item.content instanceof Y.ContentType ? [item.content.type] : item.content.getContent();
    for (let at = item.length - 1; at >= 0; at--) yield { client, clock: clock + at, value: held[at] };
  }
}
