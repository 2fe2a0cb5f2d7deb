// The session's files as the document holds them: `files` map, id -> Y.Map {path, text}.
import { ObservableV2 } from "lib0/observable";
import * as Y from "yjs";

export interface FileEntry {
  id: string;
  path: string;
}

/** Long texts enter in pieces, so that none of their updates is larger than a frame. */
const PIECE = 100_000;

export class FileStore extends ObservableV2<{ change: () => void }> {
  readonly #files: Y.Map<unknown>;

  constructor(readonly doc: Y.Doc) {
    super();
    this.#files = doc.getMap("files");
    this.#files.observeDeep((events) => {
      // Typing is not a change of the list.
      if (events.some((event) => event.target instanceof Y.Map)) this.emit("change", []);
    });
  }

  list(): FileEntry[] {
    return [...this.#files.keys()]
      .map((id) => ({ id, path: this.path(id) }))
      .filter((entry): entry is FileEntry => entry.path !== null && this.text(entry.id) !== null)
      .sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }) || a.id.localeCompare(b.id));
  }

  path(id: string): string | null {
    const path = this.#entry(id)?.get("path");
    return typeof path === "string" ? path : null;
  }

  text(id: string): Y.Text | null {
    const text = this.#entry(id)?.get("text");
    return text instanceof Y.Text ? text : null;
  }

  add(path: string, content: string): string {
    const id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    const text = new Y.Text();
    this.doc.transact(() => {
      const entry = new Y.Map<unknown>();
      entry.set("path", path);
      entry.set("text", text);
      this.#files.set(id, entry);
    });
    const clean = content.replace(/\r\n?/g, "\n");
    for (let at = 0; at < clean.length; ) {
      let end = Math.min(at + PIECE, clean.length);
      // Never between the halves of a surrogate pair.
      if (end < clean.length && /[\ud800-\udbff]/.test(clean[end - 1] ?? "")) end--;
      text.insert(at, clean.slice(at, end));
      at = end;
    }
    return id;
  }

  /** Why no further file can be added, or null. The server takes out again what comes beyond its limit. */
  fullness(limit = Number.POSITIVE_INFINITY): string | null {
    if (this.#files.size < limit) return null;
    return `A session may have ${limit} files (ENSEMBLE_MAX_FILES). Delete one that is not needed, or start another session.`;
  }

  rename(id: string, path: string): void {
    this.#entry(id)?.set("path", path);
  }

  remove(id: string): void {
    this.#files.delete(id);
  }

  /** What is wrong with a path, or null. `except`: the file that is being renamed. */
  problem(path: string, except?: string): string | null {
    const parts = path.split("/");
    if (path.trim() === "") return "A file needs a name.";
    if (path.length > 200) return "That name is longer than 200 characters.";
    if (/[\\\p{Cc}]/u.test(path)) return "A name cannot hold backslashes or control characters.";
    if (parts.some((part) => part === "" || part === "." || part === "..")) return "Write the path like src/main.py.";
    if (this.list().some((entry) => entry.path === path && entry.id !== except)) return `${path} already exists.`;
    return null;
  }

  #entry(id: string): Y.Map<unknown> | null {
    const entry = this.#files.get(id);
    return entry instanceof Y.Map ? entry : null;
  }
}
