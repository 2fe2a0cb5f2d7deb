// The way through the history: a slider over a strip in the writers' colours, steps, bursts, and playing.
import { ObservableV2 } from "lib0/observable";
import { need, setIcon } from "./dom";
import type { History } from "./history";

const TICK_MS = 60;
// However long the history is, playing it takes no longer than this.
const MOST_TICKS = 600;
const GAP = 1;

export class Scrubber extends ObservableV2<{ move: (position: number) => void }> {
  readonly #slider = need<HTMLInputElement>("#history-slider");
  readonly #strip = need<HTMLCanvasElement>("#history-strip");
  readonly #play = need<HTMLButtonElement>("#history-play");
  #history: History | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Playing waits for what it asked for: versions that are being fetched do not pile up. */
  busy = false;

  constructor() {
    super();
    this.#slider.addEventListener("input", () => {
      this.pause();
      this.emit("move", [this.position]);
    });
    const on = (id: string, act: () => void) => need(id).addEventListener("click", act);
    on("#history-leap-back", () => this.leap(-1));
    on("#history-back", () => this.step(-1));
    on("#history-play", () => this.toggle());
    on("#history-forward", () => this.step(1));
    on("#history-leap-forward", () => this.leap(1));
    new ResizeObserver(() => this.draw()).observe(this.#strip);
  }

  get position(): number {
    return Number(this.#slider.value);
  }

  use(history: History | null): void {
    this.pause();
    this.#history = history;
    if (history) {
      this.#slider.min = String(history.first);
      this.#slider.max = String(history.last);
      this.#slider.value = String(history.last);
    }
    this.draw();
  }

  go(position: number): void {
    const history = this.#history;
    if (!history) return;
    const next = Math.max(history.first, Math.min(history.last, position));
    if (next === this.position) return;
    this.#slider.value = String(next);
    this.emit("move", [next]);
  }

  step(by: number): void {
    this.pause();
    this.go(this.position + by);
  }

  leap(direction: 1 | -1): void {
    this.pause();
    if (this.#history) this.go(this.#history.burst(this.position, direction));
  }

  toggle(): void {
    if (this.#timer === undefined) this.#start();
    else this.pause();
  }

  /** For who does not see the slider. */
  tell(text: string): void {
    this.#slider.setAttribute("aria-valuetext", text);
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#showPlay("Play", "play");
  }

  #start(): void {
    const history = this.#history;
    if (!history) return;
    // From the end, play begins at the beginning.
    if (this.position >= history.last) this.go(history.first);
    const stride = Math.max(1, Math.ceil((history.last - history.first) / MOST_TICKS));
    this.#timer = setInterval(() => {
      if (this.busy) return;
      if (this.position >= history.last) this.pause();
      else this.go(this.position + stride);
    }, TICK_MS);
    this.#showPlay("Pause", "pause");
  }

  #showPlay(label: string, name: string): void {
    this.#play.setAttribute("aria-label", label);
    this.#play.title = `${label} (Space)`;
    setIcon(this.#play, name);
  }

  /** One bar for as many positions as fit into its width. */
  draw(): void {
    const history = this.#history;
    const { clientWidth, clientHeight } = this.#strip;
    const scale = window.devicePixelRatio || 1;
    this.#strip.width = clientWidth * scale;
    this.#strip.height = clientHeight * scale;
    const context = this.#strip.getContext("2d");
    if (!history || !context || clientWidth === 0) return;
    const styles = getComputedStyle(this.#strip);
    const [unread, nobody] = [styles.getPropertyValue("--border"), styles.getPropertyValue("--border-strong")];
    const count = history.last - history.first + 1;
    const bars = Math.max(1, Math.min(count, Math.floor(clientWidth / 3)));
    const width = (clientWidth * scale) / bars;
    for (let bar = 0; bar < bars; bar++) {
      const position = history.first + Math.floor(((bar + 0.5) * count) / bars);
      const writer = history.writerOf(position);
      context.fillStyle = writer === undefined ? unread : (writer?.color ?? nobody);
      const height = writer === undefined ? 0.3 : writer ? 1 : 0.55;
      const tall = clientHeight * scale * height;
      // Few bars stand apart, many become a band.
      const gap = width > 4 * scale ? GAP * scale : 0;
      context.fillRect(bar * width, clientHeight * scale - tall, width - gap, tall);
    }
  }
}
