// The timeline: one card a run, oldest first, the newest in sight.
import { Answer } from "./answer";
import { diffLines } from "./difflines";
import { avatar, h, icon, mod, need, renew } from "./dom";
import type { FileStore } from "./filestore";
import { type Place, Places, Texts } from "./places";
import type { Model } from "./protocol";
import type { Rights } from "./rights";
import { isLive, type Run, type Runs } from "./runs";

interface Options {
  runs: Runs;
  rights: Rights;
  files: FileStore;
  reveal: (run: Run) => void;
  goTo: (place: Place) => void;
  askOn: (run: Run) => void;
  offline: () => void;
}

const LABEL: Record<Run["state"], string> = {
  queued: "Waiting",
  streaming: "Writing",
  done: "Done",
  stopped: "Stopped",
  steered: "Steered",
  declined: "Declined",
  failed: "Failed",
};

const ANSWER_LABEL: Partial<Record<Run["state"], string>> = {
  streaming: "Answering",
  done: "Answered",
  steered: "Asked on",
};

// Diffs above this are folded, so that a card stays a card.
const OPEN_LINES = 14;

export class Timeline {
  readonly #list = need<HTMLOListElement>("#run-list");
  readonly #cards = new Map<string, HTMLLIElement>();
  readonly #answers = new Map<string, Answer>();
  readonly #texts: Texts;
  readonly #open = new Set<string>();
  readonly #pending = new Set<string>();
  readonly #o: Options;

  constructor(options: Options) {
    this.#o = options;
    this.#texts = new Texts(options.files);
    options.runs.on("change", (run) => this.#schedule(run.id));
    options.runs.on("reset", () => {
      for (const [id, card] of this.#cards) {
        if (options.runs.get(id)) continue;
        card.remove();
        this.#cards.delete(id);
        this.#answers.delete(id);
      }
      this.#showEmpty();
    });
    options.rights.on("change", () => {
      for (const run of options.runs.all()) this.#schedule(run.id);
      this.#showEmpty();
    });
    options.runs.on("engines", () => {
      for (const run of options.runs.all()) this.#schedule(run.id);
    });
    // The seconds of live cards.
    setInterval(() => {
      for (const run of options.runs.live()) this.#showFigures(run);
    }, 200);
    this.#showEmpty();
  }

  /** However many messages come, a card is drawn at most once a frame. */
  #schedule(id: string): void {
    if (this.#pending.size === 0) {
      requestAnimationFrame(() => this.#drawPending());
    }
    this.#pending.add(id);
  }

  #drawPending(): void {
    const scroller = need("#timeline-scroll");
    // Where it stands is asked once for all cards: each answer after a change is a layout of the whole list.
    let follow = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const id of pending) {
      const run = this.#o.runs.get(id);
      if (!run) continue;
      if (!this.#cards.has(id) && isLive(run)) follow = true;
      this.#draw(run);
    }
    if (follow) scroller.scrollTop = scroller.scrollHeight;
  }

  #draw(run: Run): void {
    let card = this.#cards.get(run.id);
    if (!card) {
      card = h("li", { class: "card", "data-testid": "run-card", "data-run": run.id, tabindex: "-1" });
      this.#cards.set(run.id, card);
      this.#list.append(card);
      this.#showEmpty();
    }
    // A live card changes ten times a second: then only its figures, so that its buttons hold still.
    const shape = JSON.stringify([
      run.state,
      run.position,
      run.reason,
      run.chain.length,
      run.stopping,
      run.undone,
      run.kept,
      run.notes,
      run.saw,
      run.mode,
      run.mode === "ask" && !isLive(run) && run.text !== "",
      isReading(run),
      run.diff.length,
      run.engine,
      run.model,
      this.#o.runs.deep,
      this.#o.rights.may("instruct"),
      this.#o.rights.may("stop"),
    ]);
    if (card.dataset.shape !== shape) {
      card.dataset.shape = shape;
      card.dataset.outcome = run.state;
      card.toggleAttribute("data-undone", run.undone);
      renew(card, this.#content(run));
    }
    this.#answers.get(run.id)?.show(run.text, isLive(run));
    this.#showFigures(run);
  }

  #content(run: Run): Node[] {
    const kind = run.mode === "ask" ? (ANSWER_LABEL[run.state] ?? LABEL[run.state]) : LABEL[run.state];
    const label = isReading(run) ? "Reading" : kind;
    const badge = run.undone ? "Undone" : run.stopping ? "Stopping…" : label;
    const position = run.state === "queued" && run.position > 0 ? ` · place ${run.position}` : "";
    return [
      h(
        "header",
        { class: "card-head" },
        avatar(run.by.name, run.by.color),
        h("strong", { class: "card-who" }, run.by.name || "Someone"),
        h("span", { class: "badge" }, badge + position),
      ),
      ...(run.chain.length > 0 ? [chain(run)] : []),
      h("p", { class: "card-instruction" }, run.instruction),
      ...(run.retries ? [h("p", { class: "card-note" }, "Again, after the first try was undone.")] : []),
      ...(run.reason ? [h("p", { class: "card-reason" }, run.reason)] : []),
      ...run.notes.map((note) => h("p", { class: "card-note" }, note)),
      ...(run.mode === "ask" ? [this.#answer(run).element] : []),
      h(
        "div",
        { class: "card-meta" },
        h(
          "button",
          { type: "button", class: "link", onclick: () => this.#o.reveal(run), title: "Show in the editor" },
          place(run),
        ),
        run.engine === "deep" &&
          run.model !== "" &&
          h("span", { class: "card-model" }, icon("deeper"), `by ${run.model}`),
        h("span", { class: "figures" }),
      ),
      ...(run.saw.length > 0 ? [this.#saw(run)] : []),
      ...(run.diff.length > 0 ? [this.#diff(run)] : []),
      ...this.#buttons(run),
    ];
  }

  #buttons(run: Run): Node[] {
    const button = (label: string, name: string, act: () => boolean, props: Record<string, string> = {}) =>
      h(
        "button",
        { type: "button", class: "button small", onclick: () => act() || this.#o.offline(), ...props },
        icon(name),
        label,
      );
    const { runs, rights } = this.#o;
    const buttons: Node[] = [];
    if (isLive(run)) {
      const queued = run.state === "queued";
      if (!run.stopping && rights.may("stop"))
        buttons.push(button(queued ? "Cancel" : "Stop", "stop", () => runs.stop(run), { class: "button small stop" }));
      const other = queued && run.behind !== null ? runs.get(run.behind) : undefined;
      if (other && isLive(other) && !run.stopping && rights.may("instruct"))
        buttons.push(
          button("Steer that run instead", "steer", () => runs.steerInstead(run, other), {
            "data-testid": "steer-instead",
          }),
        );
    } else if (!rights.may("instruct")) {
      if (run.kept) buttons.push(h("span", { class: "settled" }, icon("check"), "Kept"));
    } else {
      if (run.diff.length > 0 && !run.undone && !run.kept) {
        buttons.push(button("Undo", "undo", () => runs.undo(run), { "data-testid": "undo-run" }));
        buttons.push(button("Keep", "check", () => runs.keep(run)));
      }
      if (run.kept) buttons.push(h("span", { class: "settled" }, icon("check"), "Kept"));
      if ((run.state === "stopped" || run.state === "failed") && run.diff.length > 0 && !run.undone)
        buttons.push(
          button("Continue", "play", () => runs.goOn(run), {
            title: "Goes on where it ended, in the same lines",
            "data-testid": "continue-run",
          }),
        );
      if (run.mode === "ask" && run.text !== "" && run.state !== "steered")
        buttons.push(
          button("Ask on", "steer", () => this.#askOn(run), {
            title: "Another question behind this answer",
            "data-testid": "ask-on",
          }),
        );
      if (run.state !== "steered")
        buttons.push(
          button("Retry", "retry", () => runs.retry(run), {
            title:
              run.undone || run.diff.length === 0
                ? "The same again"
                : "Undoes what stands of it, and does the same again",
            "data-testid": "retry-run",
          }),
        );
      if (run.state !== "steered" && run.engine === "fast" && runs.deep)
        buttons.push(
          button("Deeper", "deeper", () => runs.deeper(run), {
            "data-testid": "deeper",
            title: deeperHint(runs.deep),
          }),
        );
    }
    return buttons.length > 0 ? [h("div", { class: "card-buttons" }, ...buttons)] : [];
  }

  /** What the model was shown: folded, as long as nobody wants to know. */
  #saw(run: Run): Node {
    const tokens = run.saw.reduce((sum, seen) => sum + seen.tokens, 0);
    const what = run.saw.length === 1 ? "1 file" : `${run.saw.length} files`;
    const rows = run.saw.map((seen) =>
      h(
        "li",
        {},
        h("span", { class: "saw-path" }, seen.path),
        h("span", { class: "saw-why" }, seen.why),
        h(
          "span",
          { class: "saw-tokens" },
          seen.tokens === seen.of ? `all ${seen.of} tokens` : `${seen.tokens} of ${seen.of} tokens`,
        ),
      ),
    );
    const details = h(
      "details",
      { class: "saw", "data-testid": "saw" },
      h("summary", {}, `The model ${isLive(run) ? "sees" : "saw"} ${what}, ${tokens} tokens`),
      h("ul", {}, ...rows),
    );
    return this.#keptOpen(details, `saw ${run.id}`);
  }

  #askOn(run: Run): boolean {
    this.#o.askOn(run);
    return true;
  }

  #diff(run: Run): Node {
    const long = run.diff.length > OPEN_LINES;
    const body = h("div", { class: "diff", role: "group", "aria-label": "Changed lines", tabindex: "0" });
    body.append(diffLines(run.diff));
    if (!long) return body;
    const added = run.diff.filter((line) => line.op === "+").length;
    const removed = run.diff.filter((line) => line.op === "-").length;
    const details = h(
      "details",
      { class: "diff-fold" },
      h(
        "summary",
        {},
        h("span", { class: "plus" }, `+${added}`),
        " ",
        h("span", { class: "minus" }, `−${removed}`),
        " lines",
      ),
      body,
    );
    return this.#keptOpen(details, `diff ${run.id}`);
  }

  /** What somebody has unfolded stays so when the card is made anew. */
  #keptOpen(details: HTMLDetailsElement, key: string): HTMLDetailsElement {
    details.open = this.#open.has(key);
    details.addEventListener("toggle", () => {
      if (details.open) this.#open.add(key);
      else this.#open.delete(key);
    });
    return details;
  }

  /** Stays when the card around it is made anew. */
  #answer(run: Run): Answer {
    let answer = this.#answers.get(run.id);
    if (!answer) {
      answer = new Answer(new Places(this.#texts, run.file), this.#o.goTo);
      this.#answers.set(run.id, answer);
    }
    return answer;
  }

  #showFigures(run: Run): void {
    const element = this.#cards.get(run.id)?.querySelector<HTMLElement>(".figures");
    if (!element) return;
    const text = figures(run);
    if (element.textContent !== text) element.textContent = text;
  }

  #showEmpty(): void {
    need("#timeline-empty").hidden = this.#cards.size > 0;
    need("#timeline-empty-text").textContent = emptyHint(this.#o.rights.may("instruct"));
  }
}

/** The model has not said anything yet: a long file takes its time. */
function isReading(run: Run): boolean {
  return run.state === "streaming" && run.tokens === 0 && run.text === "";
}

/** The earlier instructions, and who gave them. */
function chain(run: Run): Node {
  const links = run.chain.map(({ by, instruction }) =>
    h(
      "li",
      { title: `${by.name}: ${instruction}` },
      avatar(by.name, by.color),
      h("span", { class: "chain-text" }, h("strong", {}, by.name), " ", instruction),
    ),
  );
  return h("ol", { class: "chain", "aria-label": "Goes on from", "data-testid": "chain" }, ...links);
}

function place(run: Run): string {
  const path = run.path || "file";
  if (isLive(run) && run.regions.length > 1) return `${path}, ${run.regions.length} places`;
  const changed = run.diff.filter((line) => line.op === "+" && line.new !== null).map((line) => line.new ?? 0);
  const first = changed[0] ?? run.lines?.first;
  const last = changed.at(-1) ?? run.lines?.last;
  if (first === undefined || last === undefined) return path;
  return first === last ? `${path}, line ${first}` : `${path}, lines ${first}–${last}`;
}

export function figures(run: Run): string {
  const parts: string[] = [];
  if (isLive(run)) parts.push(`${((Date.now() - run.since) / 1000).toFixed(1)} s`);
  if (isLive(run) && run.places && run.places.of > 1) parts.push(`${run.places.done} of ${run.places.of} places`);
  if (run.tokens > 0) parts.push(`${run.tokens} ${run.tokens === 1 ? "token" : "tokens"}`);
  if (run.tokens_per_s !== null) parts.push(`${run.tokens_per_s.toFixed(run.tokens_per_s < 10 ? 1 : 0)}/s`);
  if (!isLive(run) && run.ttft_ms !== null) parts.push(`first after ${duration(run.ttft_ms)}`);
  return parts.join(" · ");
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** What stands under the empty timeline. */
function emptyHint(mayRun: boolean): string {
  return mayRun
    ? `Type what you want changed, or press ${mod("K")} in the text. Everyone sees it as it is written, and anyone can stop it.`
    : "When somebody asks the model for a change, it appears here as it is written.";
}

function deeperHint({ name, state, detail }: Model): string {
  const what = `The same instruction again, by ${name}.`;
  if (state === "asleep") return `${what} It is loaded first.`;
  if (state === "loading") return `${what} It is being loaded.`;
  return state === "failed" ? `${what} It cannot be used just now: ${detail}` : what;
}
