// This page's own updates on their way to the server: what one tick brings leaves as one frame, and the first keystroke
// after a pause leaves at once.

const TICK_MS = 16;

export class Outgoing {
  readonly #send: (updates: Uint8Array[]) => boolean;
  #queue: Uint8Array[] = [];
  #last = 0;
  #due = false;

  /** `send`: false where they cannot leave now; then they stay in the queue. */
  constructor(send: (updates: Uint8Array[]) => boolean) {
    this.#send = send;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  add(update: Uint8Array): void {
    this.#queue.push(update);
    if (this.#due) return;
    this.#due = true;
    const wait = this.#last + TICK_MS - performance.now();
    if (wait <= 0) queueMicrotask(() => this.flush());
    else setTimeout(() => this.flush(), wait);
  }

  flush(): void {
    this.#due = false;
    if (this.isEmpty || !this.#send(this.#queue)) return;
    this.#last = performance.now();
    this.#queue = [];
  }

  /** They are on the server by another way. */
  clear(): void {
    this.#queue = [];
  }
}
