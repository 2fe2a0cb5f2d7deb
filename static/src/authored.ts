// The tint of text by who wrote it: runs of neighbouring characters of one writer, drawn for what is on the screen.
import { type Range, RangeSet } from "@codemirror/state";
import { Decoration, type DecorationSet, type EditorView } from "@codemirror/view";
import type { Authorship, Writer } from "./authorship";
import { h } from "./dom";

export interface Authored {
  from: number;
  to: number;
  writer: Writer | null;
  /** Came in the step that is looked at. */
  fresh: boolean;
}

/** Collects runs: neighbours alike become one. */
export class AuthoredRuns {
  readonly runs: Authored[] = [];
  #at = 0;
  #last: Authored | null = null;

  constructor(readonly authorship: Authorship) {}

  get length(): number {
    return this.#at;
  }

  add(client: number, clock: number, length: number, fresh = false): void {
    for (const share of this.authorship.shares(client, clock, length)) {
      const last = this.#last;
      const from = this.#at;
      this.#at += share.length;
      if (last && last.writer === share.writer && last.fresh === fresh) last.to = this.#at;
      else {
        this.#last = { from, to: this.#at, writer: share.writer, fresh };
        this.runs.push(this.#last);
      }
    }
  }
}

const fresh = Decoration.mark({ class: "authored fresh" });
const marks = new WeakMap<Writer, [stale: Decoration, fresh: Decoration]>();

function markOf(writer: Writer | null, isFresh: boolean): Decoration | null {
  if (!writer) return isFresh ? fresh : null;
  let pair = marks.get(writer);
  if (!pair) {
    const make = (extra: string) =>
      Decoration.mark({
        class: `authored${writer.model ? " by-model" : ""}${extra}`,
        attributes: { style: `--who: ${writer.color}`, title: writer.name },
      });
    pair = [make(""), make(" fresh")];
    marks.set(writer, pair);
  }
  return pair[isFresh ? 1 : 0];
}

export function drawAuthored(view: EditorView, runs: Authored[]): DecorationSet {
  const ranges: Range<Decoration>[] = [];
  const length = view.state.doc.length;
  for (const { from, to } of view.visibleRanges) {
    for (let at = firstEndingAfter(runs, from); at < runs.length; at++) {
      const run = runs[at] as Authored;
      if (run.from >= to) break;
      const mark = markOf(run.writer, run.fresh);
      const [start, end] = [Math.max(run.from, from), Math.min(run.to, to, length)];
      if (mark && start < end) ranges.push(mark.range(start, end));
    }
  }
  return ranges.length > 0 ? Decoration.set(ranges) : RangeSet.empty;
}

function firstEndingAfter(runs: Authored[], position: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs[middle]?.to ?? 0) > position) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** One line for each writer of these runs, the most first; last what nobody is known to have written. */
export function legend(runs: Authored[]): HTMLElement[] {
  const sums = new Map<Writer | null, number>();
  let total = 0;
  for (const { from, to, writer } of runs) {
    total += to - from;
    sums.set(writer, (sums.get(writer) ?? 0) + to - from);
  }
  return [...sums]
    .sort(([a, sumA], [b, sumB]) => Number(a === null) - Number(b === null) || sumB - sumA)
    .map(([writer, sum]) => line(writer, sum / total));
}

function line(writer: Writer | null, part: number): HTMLElement {
  const kind = writer === null ? "swatch nobody" : writer.model ? "swatch by-model" : "swatch";
  const swatch = h("i", { class: kind, "aria-hidden": "true" });
  if (writer) swatch.style.setProperty("--who", writer.color);
  const percent = part < 0.01 ? "<1 %" : `${Math.round(part * 100)} %`;
  // What a session begins with was written elsewhere.
  const name = h("span", { class: "legend-name" }, writer?.name ?? "From the start");
  return h("li", {}, swatch, name, h("span", { class: "muted" }, percent));
}
