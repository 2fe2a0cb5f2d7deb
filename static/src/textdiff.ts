// The few edits that turn one text into another: by lines, and inside of changed lines by characters.

/** Replaces [from, to) of the text as it was before any of the edits. */
export interface Edit {
  from: number;
  to: number;
  insert: string;
}

export interface LineOp {
  op: " " | "+" | "-";
  /** Counted from 1; null where the line is not. */
  old: number | null;
  new: number | null;
  /** With its line break. */
  text: string;
}

type Match = [a: number, b: number, length: number];

// Beyond these two texts are so different that finding what they share costs more than it saves.
const MOST_LINE_STEPS = 1_500;
const MOST_CHAR_STEPS = 200;
const MOST_CHARS = 4_000;

/** Ascending, and never between the halves of a surrogate pair. */
export function textEdits(before: string, after: string): Edit[] {
  const edits: Edit[] = [];
  const [linesA, linesB] = [lines(before), lines(after)];
  for (const gap of gaps(linesA, linesB, MOST_LINE_STEPS)) {
    const from = length(linesA, 0, gap.aFrom);
    const old = linesA.slice(gap.aFrom, gap.aTo).join("");
    const next = linesB.slice(gap.bFrom, gap.bTo).join("");
    edits.push(...charEdits(from, old, next));
  }
  return edits;
}

/** All lines of both, to look at. */
export function lineDiff(before: string, after: string): LineOp[] {
  const [a, b] = [lines(before), lines(after)];
  const ops: LineOp[] = [];
  let [x, y] = [0, 0];
  const end = { aFrom: a.length, aTo: a.length, bFrom: b.length, bTo: b.length };
  for (const gap of [...gaps(a, b, MOST_LINE_STEPS), end]) {
    for (; x < gap.aFrom; x++, y++) ops.push({ op: " ", old: x + 1, new: y + 1, text: a[x] ?? "" });
    for (; x < gap.aTo; x++) ops.push({ op: "-", old: x + 1, new: null, text: a[x] ?? "" });
    for (; y < gap.bTo; y++) ops.push({ op: "+", old: null, new: y + 1, text: b[y] ?? "" });
  }
  return ops;
}

function charEdits(offset: number, before: string, after: string): Edit[] {
  // Whole characters, so that no edit cuts a surrogate pair.
  const [a, b] = [[...before], [...after]];
  const most = a.length + b.length > MOST_CHARS ? 0 : MOST_CHAR_STEPS;
  let at = offset;
  let done = 0;
  return gaps(a, b, most).map(({ aFrom, aTo, bFrom, bTo }) => {
    at += length(a, done, aFrom);
    const from = at;
    at += length(a, aFrom, aTo);
    done = aTo;
    return { from, to: at, insert: b.slice(bFrom, bTo).join("") };
  });
}

function lines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function length(parts: string[], from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at++) sum += parts[at]?.length ?? 0;
  return sum;
}

interface Gap {
  aFrom: number;
  aTo: number;
  bFrom: number;
  bTo: number;
}

/** What lies between the parts that both have. */
function gaps(a: string[], b: string[], most: number): Gap[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let [endA, endB] = [a.length, b.length];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const matches: Match[] = [];
  if (endA > start && endB > start) matches.push(...(common(a.slice(start, endA), b.slice(start, endB), most) ?? []));
  const found: Gap[] = [];
  let [atA, atB] = [start, start];
  for (const [matchA, matchB, count] of [...matches, [endA - start, endB - start, 0] as Match]) {
    const [nextA, nextB] = [matchA + start, matchB + start];
    if (nextA > atA || nextB > atB) found.push({ aFrom: atA, aTo: nextA, bFrom: atB, bTo: nextB });
    [atA, atB] = [nextA + count, nextB + count];
  }
  return found;
}

/** Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986); null if it takes more than `most` edits. */
function common(a: string[], b: string[], most: number): Match[] | null {
  const limit = Math.min(most, a.length + b.length);
  const furthest = new Int32Array(2 * limit + 3);
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= limit; edits++) {
    trace.push(furthest.slice(limit - edits + 1, limit + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      let x = step(furthest, limit + 1, k, edits);
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
      }
      furthest[limit + 1 + k] = x;
      if (x >= a.length && y >= b.length) return walkBack(trace, edits, a.length, b.length);
    }
  }
  return null;
}

function step(furthest: Int32Array, middle: number, k: number, edits: number): number {
  const [left, right] = [furthest[middle + k - 1] ?? 0, furthest[middle + k + 1] ?? 0];
  return k === -edits || (k !== edits && left < right) ? right : left + 1;
}

function walkBack(trace: Int32Array[], edits: number, endA: number, endB: number): Match[] {
  const matches: Match[] = [];
  let [x, y] = [endA, endB];
  for (let d = edits; d >= 0; d--) {
    const before = trace[d] as Int32Array;
    const k = x - y;
    // trace[d] holds the diagonals from -d to d as they were before round d.
    const start = d === 0 ? 0 : step(before, d, k, d);
    const startY = d === 0 ? 0 : start - k;
    const run = Math.min(x - start, y - startY);
    if (run > 0) matches.unshift([x - run, y - run, run]);
    if (d === 0) break;
    const [left, right] = [before[d + k - 1] ?? 0, before[d + k + 1] ?? 0];
    const down = k === -d || (k !== d && left < right);
    x = down ? right : left;
    y = x - (down ? k + 1 : k - 1);
  }
  return matches;
}
