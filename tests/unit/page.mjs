// Properties of the page's pure modules, on random cases. Bundled and run by test_page.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Text } from "@codemirror/state";
import * as Y from "yjs";
import { stepOf } from "../../static/src/indentation";
import { linesChanged, placed } from "../../static/src/placed";
import { lineDiff, textEdits } from "../../static/src/textdiff";
import { splitUpdate } from "../../static/src/split";
import { zip } from "../../static/src/zip";

/** Mulberry32: the same cases at each run of a seed. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const ALPHABET = ["a", "b", "é", "漢", "👩‍👩‍👧", "😀", "\n", " ", "\u0301"];
const phrase = (next, units) => Array.from({ length: next(units) + 1 }, () => ALPHABET[next(ALPHABET.length)]).join("");

/** Several people write, delete, add and remove files, and hear of each other now and then. */
function someDocs(next) {
  const docs = Array.from({ length: 1 + next(3) }, () => new Y.Doc());
  for (let step = 0; step < 30 + next(60); step++) {
    const doc = docs[next(docs.length)];
    const files = doc.getMap("files");
    const ids = [...files.keys()];
    const kind = next(10);
    if (ids.length === 0 || kind === 0) {
      const entry = new Y.Map();
      doc.transact(() => {
        entry.set("path", `f${step}`);
        entry.set("text", new Y.Text());
        files.set(`${doc.clientID}-${step}`, entry);
      });
    } else if (kind === 1 && ids.length > 1) files.delete(ids[next(ids.length)]);
    else if (kind === 2) Y.applyUpdate(doc, Y.encodeStateAsUpdate(docs[next(docs.length)]));
    else {
      const text = files.get(ids[next(ids.length)]).get("text");
      const at = next(text.length + 1);
      if (kind === 3 && text.length > 0) text.delete(Math.min(at, text.length - 1), 1);
      else text.insert(at, phrase(next, kind === 4 ? 900 : 12));
    }
  }
  return docs;
}

test("the pieces of an update make the same document, and none waits for a later one", () => {
  for (let seed = 0; seed < 150; seed++) {
    const next = random(seed);
    const docs = someDocs(next);
    const whole = new Y.Doc();
    for (const doc of docs) Y.applyUpdate(whole, Y.encodeStateAsUpdate(doc));
    // What the other side has already: nothing, or one of the participants' documents.
    const other = next(2) === 0 ? new Y.Doc() : docs[0];
    const there = new Y.Doc();
    Y.applyUpdate(there, Y.encodeStateAsUpdate(other));
    const update = Y.encodeStateAsUpdate(whole, Y.encodeStateVector(there));
    const limit = 300 + next(3000);
    const pieces = splitUpdate(update, limit);
    for (const piece of pieces) {
      assert.ok(piece.byteLength <= limit, `seed ${seed}: a piece of ${piece.byteLength} for ${limit}`);
      Y.applyUpdate(there, piece);
      assert.equal(there.store.pendingStructs, null, `seed ${seed}`);
    }
    assert.equal(there.store.pendingDs, null, `seed ${seed}`);
    assert.deepEqual(there.toJSON(), whole.toJSON(), `seed ${seed}`);
    assert.deepEqual(Y.encodeStateVector(there), Y.encodeStateVector(whole), `seed ${seed}`);
    // Once more: a reconnect may bring them again.
    for (const piece of pieces) Y.applyUpdate(there, piece);
    assert.deepEqual(there.toJSON(), whole.toJSON(), `seed ${seed}`);
  }
});

test("one paste of megabytes is cut between characters", () => {
  const doc = new Y.Doc();
  let update = new Uint8Array();
  doc.on("update", (each) => {
    update = each;
  });
  doc.getText("t").insert(0, "😀漢a".repeat(400_000));
  const pieces = splitUpdate(update, 256_000);
  assert.ok(pieces.length > 10);
  const there = new Y.Doc();
  for (const piece of pieces) {
    assert.ok(piece.byteLength <= 256_000);
    Y.applyUpdate(there, piece);
    assert.ok(there.getText("t").toString().isWellFormed());
  }
  assert.equal(there.getText("t").toString(), doc.getText("t").toString());
});

test("edits turn one text into the other and touch no more than they must", () => {
  for (let seed = 0; seed < 400; seed++) {
    const next = random(seed);
    const before = phrase(next, 200);
    let after = before;
    for (let n = next(5); n > 0; n--) {
      const units = [...after];
      units.splice(next(units.length + 1), next(6), ...phrase(next, 5));
      after = units.join("");
    }
    if (next(10) === 0) after = "";
    let text = before;
    const edits = textEdits(before, after);
    for (const { from, to, insert } of edits.toReversed()) {
      text = text.slice(0, from) + insert + text.slice(to);
      assert.ok(text.isWellFormed(), `seed ${seed}`);
    }
    assert.equal(text, after, `seed ${seed}`);
    if (before === after) assert.deepEqual(edits, []);
    const lines = lineDiff(before, after);
    const side = (op) => lines.filter((line) => line.op !== op).map((line) => line.text).join("");
    assert.equal(side("+"), before, `seed ${seed}`);
    assert.equal(side("-"), after, `seed ${seed}`);
  }
});

test("one changed character is one edit of one character, however large the text", () => {
  const before = "some line of code\n".repeat(20_000);
  const at = 18 * 12_345 + 5;
  assert.deepEqual(textEdits(before, `${before.slice(0, at)}X${before.slice(at + 1)}`), [{ from: at, to: at + 1, insert: "X" }]);
  const other = "another text entirely\n".repeat(5_000);
  const [edit] = textEdits(before, other);
  assert.ok(edit);
});

test("a zip archive, for unzip to read", () => {
  const path = process.env.ZIP_OUT;
  const files = [
    { path: "src/ünïcode.py", content: "print('😀')\n" },
    { path: "empty.txt", content: "" },
    { path: ".\u200b./.\u200b./out.txt", content: "" },
    { path: "C:\\..\\drive.txt", content: "" },
    { path: "../out.txt", content: "2" },
  ];
  return import("node:fs").then(({ writeFileSync }) => writeFileSync(path, zip(files, new Date(2026, 10, 21, 8, 0))));
});

/** The lines as somebody reads them who takes what is struck for gone and ghost text for text. */
function read(doc, edits) {
  const lines = [];
  let struck = 0; // text up to here is gone
  for (let number = 1; number <= doc.lines; number++) {
    const line = doc.line(number);
    const here = edits.filter((edit) => doc.lineAt(edit.from).number === number);
    const ends = edits.filter((edit) => doc.lineAt(edit.to).number === number);
    const wholly = edits.some((edit) => edit.from <= line.from && edit.to > line.to);
    for (const edit of here) lines.push(...placed(doc, edit).above);
    let text = "";
    let at = Math.max(line.from, struck);
    for (const edit of new Set([...here, ...ends])) {
      if (edit.from >= line.from) text += doc.sliceString(Math.min(at, edit.from), edit.from);
      at = Math.max(at, Math.min(edit.to, line.to));
      if (ends.includes(edit)) text += placed(doc, edit).inline;
    }
    text += doc.sliceString(at, line.to);
    struck = Math.max(struck, ...edits.map((edit) => (edit.from <= line.to ? edit.to : 0)));
    const below = ends.flatMap((edit) => placed(doc, edit).below);
    const replaced = ends.some((edit) => edit.from < edit.to && edit.to === line.to && placed(doc, edit).below.length > 0);
    if (!(wholly || (text === "" && replaced))) lines.push(text);
    lines.push(...below);
  }
  return lines;
}

test("a drawn edit reads as its result", () => {
  const cases = [
    ["def f():\n    return x", [[9, 9, "    log(x)\n"]]],
    ["total = a", [[8, 9, "b"]]],
    ["", [[0, 0, "def f():\n    pass"]]],
    ["a\nb\nc", [[2, 4, ""]]],
    ["a\nb\nc", [[2, 3, "x\ny"]]],
    ["a\nb\nc", [[0, 3, "x"]]],
    ["a = f(x, y)\nz", [[6, 11, "\n    x,\n)"]]],
    ["a\nb", [[1, 1, "\nmore"]]],
    ["one two three", [[0, 3, "1"], [8, 13, "3"]]],
    ["a\nb\nc\nd", [[0, 0, "first\n"], [4, 5, "C"], [7, 7, "\nlast"]]],
  ];
  for (const [old, list] of cases) {
    const edits = list.map(([from, to, text]) => ({ from, to, text }));
    let expected = old;
    for (const { from, to, text } of edits.toReversed()) expected = expected.slice(0, from) + text + expected.slice(to);
    assert.deepEqual(read(Text.of(old.split("\n")), edits), expected.split("\n"), JSON.stringify([old, list]));
  }
});

test("lines are counted as people count them", () => {
  const doc = Text.of("a = 1\nb = 2\nc = 3".split("\n"));
  const count = (...edits) => linesChanged(doc, edits.map(([from, to, text]) => ({ from, to, text })));
  assert.equal(count([4, 5, "9"]), 1);
  assert.equal(count([6, 6, "x\ny\n"]), 2);
  assert.equal(count([0, 11, "p\nq\nr"]), 3);
  assert.equal(count([0, 1, "x"], [4, 5, "y"]), 1, "two changes in one line");
  assert.equal(count([6, 12, ""]), 1, "a line that goes with its newline");
  assert.equal(count([11, 17, ""]), 1, "the last line, with the newline before it");
  assert.equal(count([0, 5, "p\nq"]), 2);
});

test("a step of indentation is what the text's own lines take", () => {
  const step = (...lines) => stepOf(Text.of(lines));
  assert.equal(step("def f():", "    if x:", "        return", "    y()"), "    ");
  assert.equal(step("a {", "  color: red;", "}", "", "b {", "  top: 0;", "}"), "  ");
  assert.equal(step("func f() {", "\tif x {", "\t\treturn", "\t}", "}"), "\t");
  // Most count: one line that is aligned with something else says nothing.
  assert.equal(step("f(a,", "  b)", "if x:", "    y()", "if z:", "    y()"), "    ");
  assert.equal(step("/*", " * a comment", " */", "f() {", "    g();", "}"), "    ");
  for (const none of [[""], ["a", "b"], ["a", "   ", "b"], [" one blank"]]) assert.equal(step(...none), null);
});
