// What a variant's column shows of it: its lines, or why there are none.
import { diffLines } from "./difflines";
import { h } from "./dom";
import type { DiffLine } from "./protocol";
import type { Row } from "./rows";
import type { Variant } from "./variants";

const CONTEXT_LINES = 2;

/** `result`: the lines as they would be, without those that go. */
export function body(variant: Variant | undefined, result: boolean): Row {
  if (!variant) return bodyRow("pulse", () => h("i", { class: "pulse", "aria-hidden": "true" }));
  if (variant.state === "declined" || variant.state === "failed") {
    const reason = variant.reason || "Nothing came of this one.";
    return bodyRow(reason, () => h("p", { class: "variant-reason" }, reason));
  }
  const lines = result ? variant.diff.filter((line) => line.op !== "-") : folded(variant.diff);
  return bodyRow(JSON.stringify(lines), () => diffLines(lines));
}

function bodyRow(shape: string, make: () => HTMLElement): Row {
  return { key: "body", shape, make };
}

export function stateOf(variant: Variant): string {
  const rate = variant.tokens_per_s === null ? "" : ` · ${variant.tokens_per_s.toFixed(0)}/s`;
  const tokens = variant.tokens > 0 ? `${variant.tokens} tokens${rate}` : "";
  return variant.state === "streaming" ? tokens || "begins…" : tokens;
}

/** Unchanged lines away from every change are left out. */
function folded(diff: readonly DiffLine[]): DiffLine[] {
  const near = diff.map((_, at) =>
    diff.slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1).some((line) => line.op !== " "),
  );
  const out: DiffLine[] = [];
  diff.forEach((line, at) => {
    if (near[at]) out.push(line);
    else if (near[at - 1] && near.indexOf(true, at) > 0) out.push({ op: "@", old: null, new: null, tokens: [] });
  });
  return out;
}
