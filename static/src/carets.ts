// Who is where in the text: tells the others of our caret, draws theirs and the model's.
import { type Range, RangeSet } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { h, inkOn, safeColor } from "./dom";
import { position } from "./sticky";

const NAME_SHOWN_MS = 2_500;

export interface Presence {
  user?: { name?: string; color?: string; model?: boolean };
  cursor?: { anchor?: unknown; head?: unknown } | null;
  file?: string;
}

/** Where a state's caret is in this text, or null. States are other people's JSON: nothing in them is believed. */
export function caretIn(text: Y.Text, state: Presence): { anchor: number; head: number } | null {
  try {
    if (!state.cursor?.anchor || !state.cursor.head) return null;
    const anchor = position(text, Y.createRelativePositionFromJSON(state.cursor.anchor));
    const head = position(text, Y.createRelativePositionFromJSON(state.cursor.head));
    return anchor === null || head === null ? null : { anchor, head };
  } catch {
    return null;
  }
}

class CaretWidget extends WidgetType {
  constructor(
    readonly client: number,
    readonly name: string,
    readonly color: string,
    readonly model: boolean,
    readonly named: boolean,
    readonly below: boolean,
  ) {
    super();
  }

  override eq(other: CaretWidget): boolean {
    return (
      other.client === this.client &&
      other.name === this.name &&
      other.color === this.color &&
      other.model === this.model &&
      other.named === this.named &&
      other.below === this.below
    );
  }

  override toDOM(): HTMLElement {
    const classes = ["caret", this.model && "model", this.named && "named", this.below && "below"].filter(Boolean);
    const label = h("span", { class: "caret-name" }, this.name);
    const element = h(
      "span",
      { class: classes.join(" "), "data-testid": this.model ? "model-caret" : "caret", "aria-hidden": "true" },
      "\u2060",
      label,
    );
    element.style.setProperty("--who", this.color);
    element.style.setProperty("--who-ink", inkOn(this.color));
    return element;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

/** Must come after the Yjs binding, so that text and view agree when positions are looked up. */
export function carets(text: Y.Text, awareness: Awareness) {
  class Carets {
    decorations: DecorationSet = RangeSet.empty;
    readonly #moved = new Map<number, { at: string; when: number }>();
    #timer: ReturnType<typeof setTimeout> | undefined;

    constructor(readonly view: EditorView) {
      awareness.on("change", this.#onChange);
      this.#draw();
      this.#tell();
    }

    update(update: ViewUpdate): void {
      this.#draw();
      if (update.docChanged || update.selectionSet || update.focusChanged) this.#tell();
    }

    destroy(): void {
      awareness.off("change", this.#onChange);
      clearTimeout(this.#timer);
    }

    readonly #onChange = (change: { added: number[]; updated: number[]; removed: number[] }) => {
      const ours = (id: number) => id === awareness.clientID;
      if (![...change.added, ...change.updated, ...change.removed].every(ours)) this.view.dispatch({});
    };

    /** Not within the update: what awareness tells its listeners may dispatch. */
    #tell(): void {
      queueMicrotask(() => {
        const local = awareness.getLocalState() as Presence | null;
        // Who has not yet been in the text is nowhere in it; who left it stays where they were.
        if (!local || !text.doc || !this.view.hasFocus) return;
        const { anchor, head } = this.view.state.selection.main;
        const now = caretIn(text, local);
        if (now && now.anchor === anchor && now.head === head) return;
        awareness.setLocalStateField("cursor", {
          anchor: Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, Math.min(anchor, text.length))),
          head: Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, Math.min(head, text.length))),
        });
      });
    }

    #draw(): void {
      const doc = this.view.state.doc;
      const ranges: Range<Decoration>[] = [];
      const now = Date.now();
      const mine = this.view.hasFocus ? doc.lineAt(this.view.state.selection.main.head).number : 0;
      let wait = Number.POSITIVE_INFINITY;
      for (const [client, state] of awareness.getStates() as Map<number, Presence>) {
        if (client === awareness.clientID) continue;
        const caret = caretIn(text, state);
        if (!caret) continue;
        const anchor = Math.min(caret.anchor, doc.length);
        const head = Math.min(caret.head, doc.length);
        const model = state.user?.model === true;
        const color = safeColor(state.user?.color);
        const at = JSON.stringify(state.cursor);
        let moved = this.#moved.get(client);
        if (moved?.at !== at) {
          moved = { at, when: now };
          this.#moved.set(client, moved);
        }
        const named = model || now - moved.when < NAME_SHOWN_MS;
        if (named && !model) wait = Math.min(wait, moved.when + NAME_SHOWN_MS - now);
        if (anchor !== head) {
          const mark = Decoration.mark({ class: "caret-selection", attributes: { style: `--who: ${color}` } });
          ranges.push(mark.range(Math.min(anchor, head), Math.max(anchor, head)));
        }
        const name = state.user?.name || (model ? "model" : "Someone");
        // The name never lies on the line that is being written here.
        const line = doc.lineAt(head).number;
        const below = line === 1 || line - 1 === mine;
        const shown = named && !(below && line + 1 === mine);
        // Our own caret stands outside of their selection.
        const side = head > anchor ? -1 : 1;
        ranges.push(
          Decoration.widget({ side, widget: new CaretWidget(client, name, color, model, shown, below) }).range(head),
        );
      }
      this.decorations = Decoration.set(ranges, true);
      clearTimeout(this.#timer);
      if (Number.isFinite(wait)) this.#timer = setTimeout(() => this.view.dispatch({}), wait + 10);
    }
  }
  return ViewPlugin.fromClass(Carets, { decorations: (plugin) => plugin.decorations });
}
