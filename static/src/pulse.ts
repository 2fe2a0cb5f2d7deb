// Whether the other side still answers. A dead network, or a laptop that slept, leaves a socket that looks open:
// after a while without a frame one is asked for, and what is sent must be answered.

const TICK_MS = 1_000;
const SILENCE_MS = 5_000;
const HIDDEN_SILENCE_MS = 25_000;
// Without an answer for this long people are told; with none for that long the socket is given up.
const QUIET_MS = 5_000;
const DEAD_MS = 15_000;
// A large session over a slow link is one long frame; given up, it would begin again from nothing.
const DOWNLOAD_MS = 60_000;
// What has been sent may take its time on a slow link.
const SLOW_BYTES_A_MS = 50;

interface Options {
  /** Sends something that the other side answers at once. */
  ask: () => void;
  /** Bytes that wait in the socket. */
  backlog: () => number;
  quiet: (quiet: boolean) => void;
  dead: () => void;
  /** The answer that is due is a whole document. */
  downloading: () => boolean;
}

export class Pulse {
  #heard = 0;
  /** Since when an answer is due. */
  #due: number | null = null;
  #bytes = 0;
  #backlog = 0;
  #quiet = false;
  #running = false;

  constructor(readonly o: Options) {
    setInterval(() => this.check(), TICK_MS);
  }

  get quiet(): boolean {
    return this.#quiet;
  }

  /** A socket is being opened: that, too, must come to an end. */
  begin(): void {
    this.#running = true;
    this.#quiet = false;
    this.#bytes = 0;
    this.#heard = this.#due = Date.now();
  }

  end(): void {
    this.#running = this.#quiet = false;
  }

  heard(): void {
    this.#heard = Date.now();
    this.#due = null;
    this.#bytes = 0;
    this.#setQuiet(false);
  }

  sent(bytes: number): void {
    this.#due ??= Date.now();
    this.#bytes += bytes;
  }

  /** Something says that the link may be gone: find out soon. */
  suspect(): void {
    if (!this.#running) return;
    this.o.ask();
    this.#due = Math.min(this.#due ?? Infinity, Date.now() - QUIET_MS / 2);
  }

  check(): void {
    if (!this.#running) return;
    const now = Date.now();
    const backlog = this.o.backlog();
    // What leaves the socket is on its way.
    if (backlog < this.#backlog && this.#due !== null) this.#due = now;
    this.#backlog = backlog;
    if (this.#due === null) {
      if (now - this.#heard > (document.hidden ? HIDDEN_SILENCE_MS : SILENCE_MS)) this.o.ask();
      return;
    }
    const waited = now - this.#due - this.#bytes / SLOW_BYTES_A_MS;
    if (waited > (this.o.downloading() ? DOWNLOAD_MS : DEAD_MS)) this.o.dead();
    else if (waited > QUIET_MS) this.#setQuiet(true);
  }

  #setQuiet(quiet: boolean): void {
    if (quiet === this.#quiet) return;
    this.#quiet = quiet;
    this.o.quiet(quiet);
  }
}
