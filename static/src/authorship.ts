// Who wrote what a Yjs client id stands for from a clock on, as the server has recorded it: a person, or a run.
import type { Author } from "./api";
import { safeColor } from "./dom";

/** One colour and one line of a legend: a person in all their visits, or the model in all its runs for a person. */
export interface Writer {
  key: string;
  name: string;
  color: string;
  model: boolean;
}

/** A part of [clock, clock + length) that one writer wrote; null: from before the records, such as a session's first text. */
export interface Share {
  clock: number;
  length: number;
  writer: Writer | null;
}

export class Authorship {
  /** Of each client: the clocks from which on its writers wrote, ascending. */
  readonly #entries = new Map<number, { clock: number; writer: Writer | null }[]>();
  readonly #writers = new Map<string, Writer>();

  constructor(authors: Author[]) {
    for (const author of authors) {
      const model = author.run !== "";
      const key = `${model ? "model" : "person"}:${author.participant}`;
      // The last name that somebody has used is the one that others know.
      let writer: Writer | null = null;
      // Nobody: an undo has brought back what was there before the records.
      if (model || author.participant !== "") {
        writer = this.#writers.get(key) ?? { key, name: "", color: "", model };
        writer.name = model ? `The model, for ${author.name}` : author.name;
        writer.color = safeColor(author.color);
        this.#writers.set(key, writer);
      }
      const entries = this.#entries.get(author.client);
      if (entries) entries.push({ clock: author.clock, writer });
      else this.#entries.set(author.client, [{ clock: author.clock, writer }]);
    }
    for (const entries of this.#entries.values()) entries.sort((a, b) => a.clock - b.clock);
  }

  knows(client: number): boolean {
    return this.#entries.has(client);
  }

  of(client: number, clock: number): Writer | null {
    return this.#entries.get(client)?.findLast((entry) => entry.clock <= clock)?.writer ?? null;
  }

  /** Somebody whom the records do not name yet, such as a person who has just come. */
  add(client: number, writer: Writer): void {
    if (this.knows(client)) return;
    const known = this.#writers.get(writer.key) ?? writer;
    this.#writers.set(writer.key, known);
    this.#entries.set(client, [{ clock: 0, writer: known }]);
  }

  /** A client's clocks in turn: its writers may have taken turns, as the runs of a room do. */
  shares(client: number, clock: number, length: number): Share[] {
    const entries = this.#entries.get(client);
    if (!entries) return [{ clock, length, writer: null }];
    const shares: Share[] = [];
    const end = clock + length;
    for (let at = clock; at < end; ) {
      const next = entries.find((entry) => entry.clock > at)?.clock ?? end;
      const until = Math.min(next, end);
      shares.push({ clock: at, length: until - at, writer: this.of(client, at) });
      at = until;
    }
    return shares;
  }
}
