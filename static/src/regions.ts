// Marks the lines that running runs may rewrite, and those that the instruction being typed is about.
import { type Range, RangeSet, StateEffect } from "@codemirror/state";
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type * as Y from "yjs";
import { locate, type Sticky } from "./sticky";

/** Dispatched when what is marked has changed. */
export const regionsChanged = StateEffect.define<null>();

function marks(name: string) {
  const line = (more: string) => Decoration.line({ class: `${name}${more}` });
  return { inner: line(""), first: line(" first"), last: line(" last"), only: line(" first last") };
}
const written = marks("run-line");
const aimed = marks("aim-line");

/** Must come after the Yjs binding. `live`: the regions of the file's running runs; `aim`: what Enter would give to the model. */
export function regions(text: Y.Text, live: () => Sticky[], aim: () => Sticky[]) {
  class Regions {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = this.#draw(view);
    }

    update(update: ViewUpdate): void {
      const told = update.transactions.some((each) => each.effects.some((effect) => effect.is(regionsChanged)));
      if (told || update.docChanged) this.decorations = this.#draw(update.view);
    }

    #draw(view: EditorView): DecorationSet {
      const doc = view.state.doc;
      const ranges: Range<Decoration>[] = [];
      for (const [mark, sticky] of [
        ...live().map((each) => [written, each] as const),
        ...aim().map((each) => [aimed, each] as const),
      ]) {
        const span = locate(text, sticky);
        if (!span || span.to > doc.length) continue;
        const from = doc.lineAt(span.from).number;
        // A region that ends just after a line break does not hold the line after it.
        const to = Math.max(from, doc.lineAt(span.to > span.from ? span.to - 1 : span.to).number);
        for (let number = from; number <= to; number++) {
          const line = from === to ? mark.only : number === from ? mark.first : number === to ? mark.last : mark.inner;
          ranges.push(line.range(doc.line(number).from));
        }
      }
      return ranges.length > 0 ? Decoration.set(ranges, true) : RangeSet.empty;
    }
  }
  return ViewPlugin.fromClass(Regions, { decorations: (plugin) => plugin.decorations });
}
