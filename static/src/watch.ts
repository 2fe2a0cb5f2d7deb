// Keeps the model's caret in view while one's own run writes, until one scrolls, types or points elsewhere.
import type { Awareness } from "y-protocols/awareness";
import { caretIn, type Presence } from "./carets";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";

export class ModelWatch {
  /** The file that one's own run writes, while it is watched. */
  #file: string | null = null;

  constructor(
    readonly awareness: Awareness,
    readonly editor: Editor,
    readonly files: FileStore,
  ) {
    awareness.on("change", () => this.#goAlong());
    for (const event of ["keydown", "wheel", "pointerdown"])
      editor.view.dom.addEventListener(event, () => this.stop(), { passive: true });
  }

  start(file: string): void {
    this.#file = file;
  }

  stop(): void {
    this.#file = null;
  }

  #goAlong(): void {
    const file = this.#file;
    const text = file === null ? null : this.files.text(file);
    if (file === null || !text) return;
    for (const state of this.awareness.getStates().values() as Iterable<Presence>) {
      const caret = state.user?.model === true && state.file === file ? caretIn(text, state) : null;
      // Afterwards: the view may be in the middle of an update.
      if (caret) queueMicrotask(() => this.editor.keepInView(file, caret.head));
    }
  }
}
