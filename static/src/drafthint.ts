// What the bar says of one's own draft, and of drafts that are paused.
import { h, need } from "./dom";
import type { Draft, Drafts } from "./drafts";
import { ghostOf } from "./drafts";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";
import { lineCount, linesChanged } from "./placed";

// Screen readers, and the page's place in the text, follow when the typing rests.
const REST_MS = 400;

export class DraftHint {
  readonly #hint = need("#draft-hint");
  readonly #keys = need("#keys-hint");
  readonly #status = need("#draft-status");
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly drafts: Drafts,
    readonly editor: Editor,
    readonly files: FileStore,
  ) {
    const paused = need("#drafts-paused");
    drafts.on("state", ({ state, ms }) => {
      paused.textContent = state === "paused" ? `Drafts are paused: the model takes ${Math.round(ms ?? 0)} ms` : "";
    });
  }

  /** `draft`: one's own that Enter would take. */
  show(draft: Draft | null): void {
    clearTimeout(this.#rest);
    this.#hint.hidden = draft === null;
    this.#keys.hidden = draft !== null;
    if (!draft) {
      this.#status.textContent = "";
      return;
    }
    const count = lineCount(this.#count(draft));
    this.#hint.replaceChildren(
      h("strong", {}, `Draft: ${count}`),
      " · ",
      h("kbd", {}, "Tab"),
      " or ",
      h("kbd", {}, "Enter"),
      " takes it · ",
      h("kbd", {}, "Esc"),
      " drops it",
    );
    this.#rest = setTimeout(() => {
      this.#status.textContent = `Draft ready: ${count} changed`;
      const at = ghostOf(this.files, draft)?.edits[0]?.from;
      if (at !== undefined) this.editor.keepInView(draft.file, at);
    }, REST_MS);
  }

  #count(draft: Draft): number {
    const ghost = draft.file === this.editor.file ? ghostOf(this.files, draft) : null;
    return ghost ? linesChanged(this.editor.view.state.doc, ghost.edits) : draft.edits.length;
  }
}
