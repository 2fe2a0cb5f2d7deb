// An old version as a new edit: the least that turns the text of now into the text of then, in one transaction,
// so that it is undone in one, and everybody's caret stays where its text is.
import * as Y from "yjs";
import type { FileStore } from "./filestore";
import { type Edit, textEdits } from "./textdiff";

/** The origin of restoring, which undo managers track. */
export const restoring = Symbol("restoring");

export interface OldText {
  id: string;
  path: string;
  text: string;
}

export interface Restoration {
  edited: { id: string; path: string; edits: Edit[] }[];
  returned: OldText[];
  removed: { id: string; path: string }[];
  renamed: { id: string; path: string }[];
}

/** `whole`: the session is to hold these files and no others; else only these are looked at, and keep their names. */
export function planRestoration(files: FileStore, then: OldText[], whole: boolean): Restoration {
  const plan: Restoration = { edited: [], returned: [], removed: [], renamed: [] };
  const now = new Map(files.list().map(({ id, path }) => [id, path]));
  for (const old of then) {
    // A file that was deleted and made again has another id, but is the same to people.
    const id = now.has(old.id) ? old.id : [...now].find(([, path]) => path === old.path)?.[0];
    if (id === undefined) {
      plan.returned.push(old);
      continue;
    }
    const path = now.get(id) ?? old.path;
    now.delete(id);
    if (whole && path !== old.path) plan.renamed.push({ id, path: old.path });
    const edits = textEdits(files.text(id)?.toString() ?? "", old.text);
    if (edits.length > 0) plan.edited.push({ id, path: old.path, edits });
  }
  if (whole) for (const [id, path] of now) plan.removed.push({ id, path });
  return plan;
}

export function isEmpty({ edited, returned, removed, renamed }: Restoration): boolean {
  return edited.length + returned.length + removed.length + renamed.length === 0;
}

export function describe({ edited, returned, removed, renamed }: Restoration): string {
  const say = (n: number, one: string, many: string) => (n === 0 ? [] : [n === 1 ? `1 ${one}` : `${n} ${many}`]);
  const parts = [
    ...say(edited.length, "file changes", "files change"),
    ...say(returned.length, "comes back", "come back"),
    ...say(renamed.length, "is renamed", "are renamed"),
    ...say(removed.length, "is removed", "are removed"),
  ];
  return parts.join(", ");
}

/** `largest`: bytes that fit into one frame; what is larger goes in several transactions. `forget` when `undo` is not wanted any more. */
export function restore(
  files: FileStore,
  plan: Restoration,
  largest: number,
): { undo: () => void; forget: () => void } {
  const manager = new Y.UndoManager(files.doc.getMap("files"), {
    trackedOrigins: new Set([restoring]),
    captureTimeout: Number.POSITIVE_INFINITY,
  });
  const inserted = [
    ...plan.edited.flatMap(({ edits }) => edits.map((e) => e.insert)),
    ...plan.returned.map((r) => r.text),
  ];
  // A UTF-16 unit is at most three bytes of UTF-8.
  const small = inserted.reduce((sum, text) => sum + text.length, 0) * 3 < largest;
  const steps = [...changes(files, plan, small ? Number.POSITIVE_INFINITY : Math.floor(largest / 6))];
  if (small) files.doc.transact(() => run(steps), restoring);
  else for (const step of steps) files.doc.transact(step, restoring);
  // Nothing after it: only what was restored is taken back.
  manager.trackedOrigins.clear();
  return { undo: () => manager.undo(), forget: () => manager.destroy() };
}

function run(steps: (() => void)[]): void {
  for (const step of steps) step();
}

function* changes(files: FileStore, plan: Restoration, piece: number): Generator<() => void> {
  for (const { id, path } of plan.renamed) yield () => files.rename(id, path);
  for (const { id, edits } of plan.edited) {
    const text = files.text(id);
    // The last first: the positions of the others stay true.
    for (const { from, to, insert } of text ? edits.toReversed() : []) {
      yield () => text?.delete(from, to - from);
      for (const [at, part] of cut(insert, piece)) yield () => text?.insert(from + at, part);
    }
  }
  for (const { path, text } of plan.returned) {
    let id = "";
    yield () => {
      id = files.add(path, "");
    };
    for (const [at, part] of cut(text, piece)) yield () => files.text(id)?.insert(at, part);
  }
  for (const { id } of plan.removed) yield () => files.remove(id);
}

function* cut(text: string, piece: number): Generator<[at: number, part: string]> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + piece);
    // Never between the halves of a surrogate pair.
    if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1] ?? "")) end--;
    yield [at, text.slice(at, end)];
    at = end;
  }
}
