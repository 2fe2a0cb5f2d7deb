// A branch: the files of a copy that must not be merged by itself, and how they differ from the shared text.
import type { FileStore } from "./filestore";
import { planRestoration, restore } from "./restore";
import { type LineOp, lineDiff } from "./textdiff";

/** Why it is kept apart: another lineage, an older state of the same one, or the server refused it. */
export type Why = "lineage" | "rollback" | "refused";

export interface BranchFile {
  id: string;
  path: string;
  content: string;
}

export interface Branch {
  key: number;
  session: string;
  title: string;
  made: number;
  visited: number;
  why: Why;
  files: BranchFile[];
}

/** One file of a branch that the shared text does not hold as it is. */
export interface Difference {
  file: BranchFile;
  /** The shared file's id; null if it is not there. */
  shared: string | null;
  lines: LineOp[];
  added: number;
  removed: number;
}

export function filesOf(files: FileStore): BranchFile[] {
  return files.list().map(({ id, path }) => ({ id, path, content: files.text(id)?.toString() ?? "" }));
}

export function sameFiles(a: BranchFile[], b: BranchFile[]): boolean {
  const text = (files: BranchFile[]) => JSON.stringify(files.map(({ path, content }) => [path, content]).sort());
  return text(a) === text(b);
}

export function differences(branch: Branch, files: FileStore): Difference[] {
  const found: Difference[] = [];
  for (const file of branch.files) {
    const shared = counterpart(file, files);
    const now = shared === null ? null : (files.text(shared)?.toString() ?? "");
    if (now === file.content || (now === null && file.content === "")) continue;
    const lines = lineDiff(now ?? "", file.content);
    const count = (op: LineOp["op"]) => lines.filter((line) => line.op === op).length;
    found.push({ file, shared, lines, added: count("+"), removed: count("-") });
  }
  return found;
}

/** The same file, else one of the same path: a restored document may have made it anew. */
function counterpart(file: BranchFile, files: FileStore): string | null {
  if (files.text(file.id)) return file.id;
  return files.list().find((entry) => entry.path === file.path)?.id ?? null;
}

/** Makes the shared files read as the branch's, as one edit of this person that touches only what differs. */
export function putBack(chosen: Difference[], files: FileStore): void {
  const texts = chosen.map(({ file: { id, path, content } }) => ({ id, path, text: content }));
  // Planned now: others may have written while the dialog was open.
  restore(files, planRestoration(files, texts, false), Number.POSITIVE_INFINITY).forget();
}
