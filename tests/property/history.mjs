// Random histories, read by the page's own modules: `node history.mjs SEED ROUNDS`. Fails with the seed and what differed.
import { build } from "esbuild";

const exports = `
  export * as Y from "yjs";
  export * as encoding from "lib0/encoding";
  export { Segment } from "./static/src/segment.ts";
  export { FileStore } from "./static/src/filestore.ts";
  export { textEdits } from "./static/src/textdiff.ts";
  export { planRestoration, isEmpty, restore } from "./static/src/restore.ts";
`;
const bundle = await build({
  stdin: { contents: exports, resolveDir: process.cwd(), loader: "ts" },
  bundle: true,
  write: false,
  format: "esm",
  logLevel: "error",
});
const page = await import(`data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`);
const { Y, encoding, Segment, FileStore, textEdits, planRestoration, isEmpty, restore } = page;

let state = 0;
// mulberry32: the same seed, the same history.
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const PIECES = ["a", "b", "\n", "word ", "😀", "é", "line\n", "x = 1\n"];

function fail(what, seen, expected) {
  console.error(what, "\nseen:    ", JSON.stringify(seen), "\nexpected:", JSON.stringify(expected));
  process.exit(1);
}

function same(what, seen, expected) {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) fail(what, seen, expected);
}

const contents = (store) => store.list().map(({ id, path }) => [path, store.text(id).toString()]);

/** Never inside of a surrogate pair, as an editor would have it. */
function place(text) {
  const string = text.toString();
  const at = below(string.length + 1);
  return /[\udc00-\udfff]/.test(string[at] ?? "") ? at - 1 : at;
}

let made = 0;
function act(store) {
  const files = store.list();
  const kind = below(40);
  if (files.length === 0 || kind === 0) store.add(`file-${++made}.txt`, pick(PIECES));
  else if (kind === 1) store.remove(pick(files).id);
  else if (kind === 2) store.rename(pick(files).id, `file-${++made}.txt`);
  else {
    const text = store.text(pick(files).id);
    const [one, other] = [place(text), place(text)].sort((a, b) => a - b);
    store.doc.transact(() => {
      if (kind < 14 && other - one < 30) text.delete(one, other - one);
      else text.insert(one, pick(PIECES).repeat(1 + below(3)));
    });
  }
}

/** The log of a server, as a segment, and the contents after each of its steps. */
function history(changes) {
  const server = new Y.Doc();
  const store = new FileStore(server);
  const entries = [];
  const versions = [];
  let base = Y.encodeStateAsUpdate(server);
  server.on("update", (update) => {
    entries.push(update);
    versions.push(contents(store));
  });
  const people = [0, 1, 2].map(() => new FileStore(new Y.Doc()));
  const cut = below(changes);
  versions.push(contents(store));
  for (let change = 0; change < changes; change++) {
    if (change === cut) {
      // A snapshot has taken in what came before, and has collected what was deleted.
      base = Y.encodeStateAsUpdate(server);
      entries.length = 0;
      versions.splice(0, versions.length, contents(store));
    }
    const person = pick(people);
    act(person);
    // Now and then two write at the same time.
    if (below(4) > 0) {
      Y.applyUpdate(server, Y.encodeStateAsUpdate(person.doc, Y.encodeStateVector(server)));
      Y.applyUpdate(person.doc, Y.encodeStateAsUpdate(server, Y.encodeStateVector(person.doc)));
    }
  }
  return { store, base, entries, versions };
}

function packed(base, entries) {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, entries.length + 1);
  for (const [index, update] of [base, ...entries].entries()) {
    encoding.writeVarUint(encoder, 100 + index);
    encoding.writeVarUint(encoder, 1_700_000_000_000 + index);
    encoding.writeVarUint8Array(encoder, update);
  }
  return encoding.toUint8Array(encoder);
}

function checkEdits(before, after) {
  const edits = textEdits(before, after);
  let text = before;
  for (const { from, to, insert } of edits.toReversed()) text = text.slice(0, from) + insert + text.slice(to);
  same("the edits make the one text into the other", text, after);
  for (const { from, to } of edits) {
    for (const at of [from, to]) {
      const cut = /[\ud800-\udbff]/.test(before[at - 1] ?? "") && /[\udc00-\udfff]/.test(before[at] ?? "");
      if (cut) fail("an edit cuts a surrogate pair", edits, before);
    }
  }
}

const [seed, rounds] = process.argv.slice(2).map(Number);
for (let round = 0; round < rounds; round++) {
  state = seed + round;
  const { store, base, entries, versions } = history(20 + below(120));
  const segment = await Segment.read(packed(base, entries), () => {});
  same(`${state}: steps`, segment.last, entries.length);
  const at = (step) => segment.filesAt(step).map((file) => ({ ...file, text: segment.textAt(file.id, step) }));
  for (const [step, version] of versions.entries()) {
    same(`seed ${seed + round}, step ${step}`, at(step).map(({ path, text }) => [path, text]), version);
  }
  const [one, other] = [pick(versions), pick(versions)].map((version) => version.map(([, text]) => text).join(""));
  checkEdits(one, other);

  const step = below(versions.length);
  const now = contents(store);
  let updates = 0;
  store.doc.on("update", () => updates++);
  const plan = planRestoration(store, at(step), true);
  const { undo } = restore(store, plan, 1_000_000);
  same(`seed ${seed + round}: restored`, contents(store), versions[step]);
  same(`seed ${seed + round}: in one transaction`, updates, isEmpty(plan) ? 0 : 1);
  if (!isEmpty(plan)) undo();
  same(`seed ${seed + round}: undone`, contents(store), now);
}
