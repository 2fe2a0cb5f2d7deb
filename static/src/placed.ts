// Where an edit that is not in the text is drawn, and how much it is. Pure.
import type { Text } from "@codemirror/state";
import type { TextEdit } from "./protocol";

/** Where text of an edit comes: with what is on its line, or as lines of its own above or below a line. */
export function placed(doc: Text, { from, to, text }: TextEdit): { inline: string; above: string[]; below: string[] } {
  const line = doc.lineAt(from);
  if (from === to && from === line.from && text.endsWith("\n"))
    return { inline: "", above: text.slice(0, -1).split("\n"), below: [] };
  const whole = from < to && from === line.from && to === doc.lineAt(to).to;
  const lines = text.split("\n");
  if (whole && text !== "") return { inline: "", above: [], below: lines };
  return { inline: lines[0] ?? "", above: [], below: lines.slice(1) };
}

/** How many lines edits change, take away or add. */
export function linesChanged(doc: Text, edits: readonly TextEdit[]): number {
  const old = new Set<number>();
  let added = 0;
  for (const edit of edits) {
    const { inline, above, below } = placed(doc, edit);
    const lines = above.length + below.length + Number(inline !== "");
    if (edit.from === edit.to && inline === "") {
      added += lines;
      continue;
    }
    // A newline at either end belongs to what goes, not to the line beside it.
    const from = doc.lineAt(edit.from);
    const to = doc.lineAt(edit.to);
    const first = from.number + Number(edit.from === from.to && from.number < to.number);
    const last = to.number - Number(edit.to === to.from && from.number < to.number);
    for (let line = first; line <= last; line++) old.add(line);
    added += Math.max(0, lines - Math.max(1, last - first + 1));
  }
  return old.size + added;
}

/** For people: "1 line". */
export function lineCount(count: number): string {
  return count === 1 ? "1 line" : `${count} lines`;
}
