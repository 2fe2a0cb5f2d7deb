// A line lights up for a moment: where a link has led.
import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView } from "@codemirror/view";

const FLASH_MS = 1600;
const lit = StateEffect.define<number | null>();
const line = Decoration.line({ class: "flash-line" });

export const flashes = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    let now = shown.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(lit)) now = effect.value === null ? Decoration.none : Decoration.set(line.range(effect.value));
    }
    return now;
  },
  provide: (field) => EditorView.decorations.from(field),
});

let timer: ReturnType<typeof setTimeout> | undefined;

/** `number` counts from 1; a line that is not there stays dark. */
export function flash(view: EditorView, number: number): void {
  const { doc } = view.state;
  if (number < 1 || number > doc.lines) return;
  clearTimeout(timer);
  view.dispatch({ effects: lit.of(doc.line(number).from) });
  timer = setTimeout(() => view.dispatch({ effects: lit.of(null) }), FLASH_MS);
}
