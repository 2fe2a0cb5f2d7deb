// Marks the lines that running runs may rewrite.
import { type Range, RangeSet, StateEffect } from "@codemirror/state";
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type * as Y from "yjs";
import { locate, type Sticky } from "./sticky";

/** Dispatched when a run begins or ends. */
export const regionsChanged = StateEffect.define<null>();

const inner = Decoration.line({ class: "run-line" });
const first = Decoration.line({ class: "run-line first" });
const last = Decoration.line({ class: "run-line last" });
const only = Decoration.line({ class: "run-line first last" });

/** Must come after the Yjs binding. `live`: the regions of the file's running runs. */
export function regions(text: Y.Text, live: () => Sticky[]) {
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
      for (const sticky of live()) {
        const span = locate(text, sticky);
        if (!span || span.to > doc.length) continue;
        const from = doc.lineAt(span.from).number;
        // A region that ends just after a line break does not hold the line after it.
        const to = Math.max(from, doc.lineAt(span.to > span.from ? span.to - 1 : span.to).number);
        for (let number = from; number <= to; number++) {
          const line = from === to ? only : number === from ? first : number === to ? last : inner;
          ranges.push(line.range(doc.line(number).from));
        }
      }
      return ranges.length > 0 ? Decoration.set(ranges, true) : RangeSet.empty;
    }
  }
  return ViewPlugin.fromClass(Regions, { decorations: (plugin) => plugin.decorations });
}
