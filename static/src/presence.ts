// The awareness states of one connection: this page's own, told once a tick, and other people's, gone with the socket.
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import type * as Y from "yjs";

const TICK_MS = 50;

export class Presence {
  readonly awareness: Awareness;
  readonly #send: (update: Uint8Array) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(doc: Y.Doc, send: (update: Uint8Array) => void) {
    this.awareness = new Awareness(doc);
    this.#send = send;
    this.awareness.on("update", (_: unknown, origin: unknown) => {
      if (origin === "local") this.#timer ??= setTimeout(() => this.tell(), TICK_MS);
    });
  }

  tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.awareness.getLocalState() === null) return;
    this.#send(encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]));
  }

  take(update: Uint8Array): void {
    applyAwarenessUpdate(this.awareness, update, this);
  }

  /** When the old socket closed, the server took our state away with a later clock: go beyond that one. */
  renew(): void {
    const meta = this.awareness.meta.get(this.awareness.clientID);
    if (meta) meta.clock += 2;
  }

  forgetOthers(): void {
    const others = [...this.awareness.getStates().keys()].filter((id) => id !== this.awareness.clientID);
    removeAwarenessStates(this.awareness, others, this);
    // Without its clock a state is taken again at once after the reconnect, not at its next renewal 15 s later.
    for (const id of others) this.awareness.meta.delete(id);
  }
}
