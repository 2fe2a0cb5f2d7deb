// The strip that shows what runs, with Stop: for all who may stop, wherever they are in the page.
import { h, need } from "./dom";
import { toast } from "./notices";
import type { Rights } from "./rights";
import type { Run, Runs } from "./runs";
import { figures } from "./timeline";
import type { Variants } from "./variants";

interface Options {
  runs: Runs;
  variants: Variants;
  rights: Rights;
  isMe: (participant: string) => boolean;
}

export class Strip {
  readonly #strip = need("#strip");
  readonly #text = need("#strip-text");
  readonly #stop = need<HTMLButtonElement>("#stop-button");
  readonly #o: Options;
  #said = "";

  constructor(options: Options) {
    this.#o = options;
    const { runs, rights } = options;
    runs.on("change", () => this.#show());
    runs.on("reset", () => this.#show());
    rights.on("change", () => this.#show());
    setInterval(() => this.#showFigures(), 200);
    this.#stop.addEventListener("click", () => this.#stopLive());
    addEventListener("keydown", (event) => {
      if (!(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey || event.key !== ".") return;
      event.preventDefault();
      this.#stopLive();
    });
    this.#show();
  }

  #stopLive(): void {
    const live = this.#o.runs.live();
    const offer = this.#o.variants.mine();
    if (!this.#o.rights.may("stop")) return;
    if (live.length === 0 && offer) this.#o.variants.drop(offer);
    if (live.length > 0 && !this.#o.runs.stop(live.length === 1 ? live[0] : undefined))
      toast("You are offline: Stop cannot reach the server.", "error");
  }

  #show(): void {
    const live = this.#o.runs.live();
    const run = live.at(-1);
    this.#strip.hidden = run === undefined;
    this.#stop.hidden = !this.#o.rights.may("stop");
    if (!run) {
      this.#said = "";
      return;
    }
    const stopping = live.every((each) => each.stopping);
    const who = live.length > 1 ? `${live.length} runs` : this.#whose(run);
    const waits = run.position > 1 ? `waits, place ${run.position}: ` : "is about to begin: ";
    const does = run.state === "queued" ? waits : "";
    // A run changes many times a second. Its words do not, and screen readers tell them whenever they are written.
    const said = JSON.stringify([who, does, run.instruction]);
    if (said !== this.#said) this.#text.replaceChildren(h("strong", {}, who), " ", does, h("q", {}, run.instruction));
    this.#said = said;
    this.#showFigures();
    this.#stop.disabled = stopping;
    need("#stop-label").textContent = stopping ? "Stopping…" : live.length > 1 ? `Stop all ${live.length}` : "Stop";
  }

  #whose(run: Run): string {
    return this.#o.isMe(run.by.participant) ? "Your run" : `${run.by.name}’s run`;
  }

  #showFigures(): void {
    const run = this.#o.runs.live().at(-1);
    if (run) need("#strip-figures").textContent = figures(run);
  }
}
