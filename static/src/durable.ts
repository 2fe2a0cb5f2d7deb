// What the server has on its disk of this page's document, as clocks by client id. Owns these clocks.
import { createEncoder, toUint8Array, writeVarUint } from "lib0/encoding";
import * as Y from "yjs";

/** What this browser kept of an earlier visit. */
export interface Kept {
  /** Of the document in hand; null if it is empty. */
  lineage: string | null;
  /** Clocks, by client id, below which the server has everything on its disk. */
  durable: Map<number, number>;
}

export class Durable {
  readonly #clocks: Map<number, number>;
  /** What was durable before this socket was opened: the server's first state vector must reach that far. */
  #promised = new Map<number, number>();
  /** What both sides held a while ago, to be confirmed unless something goes wrong until then. */
  #candidate: Map<number, number> | null = null;

  constructor(clocks: Map<number, number>) {
    this.#clocks = clocks;
  }

  /** A new socket. */
  begin(): void {
    this.#promised = new Map(this.#clocks);
  }

  /** Whether the server still has what it once had; else an older state was restored under the same lineage. */
  isHeldBy(theirs: Map<number, number>): boolean {
    return [...this.#promised].every(([client, clock]) => (theirs.get(client) ?? 0) >= clock);
  }

  /** Whether that is news. */
  raise(client: number, clock: number): boolean {
    if (clock <= (this.#clocks.get(client) ?? 0)) return false;
    this.#clocks.set(client, clock);
    return true;
  }

  /** What was held at the last call is durable by now; true if there was any. `held`: null where something is on its way. */
  confirm(held: Y.Doc | null, failing: boolean): boolean {
    const found = failing ? null : this.#candidate;
    for (const [client, clock] of found ?? []) this.raise(client, clock);
    this.#candidate = held && Y.decodeStateVector(Y.encodeStateVector(held));
    return found !== null;
  }

  forget(): void {
    this.#candidate = null;
  }
}

/** As `Y.encodeStateVector` does. */
export function encodeClocks(clocks: Map<number, number>): Uint8Array {
  const encoder = createEncoder();
  writeVarUint(encoder, clocks.size);
  for (const [client, clock] of clocks) {
    writeVarUint(encoder, client);
    writeVarUint(encoder, clock);
  }
  return toUint8Array(encoder);
}
