// Updates from the server on their way into the document. Where the page needs long to show one, those that follow are
// taken together after a rest as long, so that people's own keys come in between; else each is taken at once.

// Shorter than a frame's share: nobody feels it.
const LIGHT_MS = 8;
const REST_MOST_MS = 250;

export class Incoming {
  readonly #apply: (updates: Uint8Array[]) => void;
  #waiting: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the next may be taken. */
  #free = 0;

  constructor(apply: (updates: Uint8Array[]) => void) {
    this.#apply = apply;
  }

  take(update: Uint8Array): void {
    this.#waiting.push(update);
    const rest = this.#free - performance.now();
    if (rest <= 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), rest);
  }

  /** All that has come is in the document now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const updates = this.#waiting;
    this.#waiting = [];
    const begun = performance.now();
    this.#apply(updates);
    const now = performance.now();
    this.#free = now - begun > LIGHT_MS ? now + Math.min(REST_MOST_MS, now - begun) : now;
  }
}
