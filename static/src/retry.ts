// When a lost connection is tried again: each time later, until one has opened.
const FIRST_MS = 300;
const MOST_MS = 10_000;

export class Retry {
  #attempts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Since one has succeeded. */
  get attempts(): number {
    return this.#attempts;
  }

  later(act: () => void): void {
    // Half fixed, half random, so that a restarted server is not met by everybody at once.
    const wait = Math.min(MOST_MS, FIRST_MS * 2 ** this.#attempts++);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, wait / 2 + (Math.random() * wait) / 2);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  succeeded(): void {
    this.#attempts = 0;
  }
}
