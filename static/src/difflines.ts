// The lines of a diff as the server has marked them up.
import { h } from "./dom";
import type { DiffLine } from "./protocol";

const OP_NAME: Record<DiffLine["op"], string> = { " ": "same", "+": "added", "-": "removed", "@": "gap" };

/** One box as wide as the longest line, so that the colours of all lines reach as far; numbers as wide as the largest. */
export function diffLines(lines: readonly DiffLine[]): HTMLElement {
  const box = h("div", { class: "diff-lines" }, ...lines.map(diffLine));
  const largest = lines.reduce((most, line) => Math.max(most, line.new ?? 0, line.old ?? 0), 0);
  box.style.setProperty("--digits", String(String(largest).length));
  return box;
}

function diffLine(line: DiffLine): Node {
  const kind = OP_NAME[line.op];
  if (line.op === "@") return h("div", { class: "diff-line gap" }, "⋯");
  // Class names are Pygments' own short ones; anything else is dropped.
  const tokens = line.tokens.map(([css, text]) =>
    h("span", { class: /^[a-z][a-z0-9 ]*$/i.test(css) ? css : null }, text),
  );
  return h(
    "div",
    { class: `diff-line ${kind}` },
    h("span", { class: "diff-number", "aria-hidden": "true" }, String(line.new ?? line.old ?? "")),
    h("span", { class: "diff-op" }, line.op),
    h("code", {}, ...tokens),
  );
}
