// How deep one step of indentation is: as the text's own lines have it, else as the language's people do.
import { indentUnit } from "@codemirror/language";
import type { Extension, Text } from "@codemirror/state";

const USUAL = "    ";
const NARROW = "  ";
const BY_LANGUAGE: Record<string, string> = {
  Go: "\t",
  Makefile: "\t",
  CSS: NARROW,
  HTML: NARROW,
  JSON: NARROW,
  JSX: NARROW,
  JavaScript: NARROW,
  Ruby: NARROW,
  SCSS: NARROW,
  TSX: NARROW,
  TypeScript: NARROW,
  Vue: NARROW,
  XML: NARROW,
  YAML: NARROW,
};
/** Steps that people use; one of a single blank is what alignment looks like. */
const STEP = /^(?:\t| {2,4}| {8})$/;
/** It is looked at with each change of the text. */
const MOST_LINES = 400;

/** The step that most deeper lines take from the line before them; null where no line is indented. */
export function stepOf(doc: Text): string | null {
  const taken = new Map<string, number>();
  let before = "";
  let looked = 0;
  for (const lines = doc.iterLines(); looked < MOST_LINES && !lines.next().done; looked++) {
    const blank = /^[ \t]*/.exec(lines.value)?.[0] ?? "";
    // Empty lines have no depth, and the lines of a /* comment */ are a blank deeper than its beginning.
    if (blank.length === lines.value.length || lines.value[blank.length] === "*") continue;
    const step = blank.startsWith(before) ? blank.slice(before.length) : "";
    if (STEP.test(step)) taken.set(step, (taken.get(step) ?? 0) + 1);
    before = blank;
  }
  let best: string | null = null;
  for (const [step, times] of taken) if (best === null || times > (taken.get(best) ?? 0)) best = step;
  return best;
}

export function indentation(language: string): Extension {
  return indentUnit.compute(["doc"], (state) => stepOf(state.doc) ?? BY_LANGUAGE[language] ?? USUAL);
}
