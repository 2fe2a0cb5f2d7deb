// Edits that are not in the text, drawn in it: what would come as ghost text, what would go struck through.
import { type ChangeDesc, type Extension, type Range, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, type ViewUpdate, WidgetType } from "@codemirror/view";
import { h, safeColor } from "./dom";
import { placed } from "./placed";
import type { TextEdit } from "./protocol";

export interface Ghost {
  id: string;
  /** The region that the edits are made for; what changes in it makes them worthless. */
  from: number;
  to: number;
  /** In ascending order; see `draft.shown` in the protocol for what text of several lines means. */
  edits: readonly TextEdit[];
  /** Whose it is, or the key that takes it. */
  tag: string;
  color: string;
  mine: boolean;
}

export const showGhosts = StateEffect.define<readonly Ghost[]>();

class GhostText extends WidgetType {
  constructor(
    readonly lines: readonly string[],
    readonly block: boolean,
    readonly tag: Tag | null,
    readonly color: string,
  ) {
    super();
  }

  override eq(other: GhostText): boolean {
    return (
      this.block === other.block &&
      this.color === other.color &&
      this.lines.join("\n") === other.lines.join("\n") &&
      (this.tag === other.tag || (this.tag !== null && other.tag !== null && this.tag.eq(other.tag)))
    );
  }

  override toDOM(): HTMLElement {
    const element = h(this.block ? "div" : "span", { class: this.block ? "ghost ghost-lines" : "ghost" });
    this.#fill(element);
    return element;
  }

  /** In place: the text grows by a word while somebody types, and nothing blinks. */
  override updateDOM(element: HTMLElement, _view: EditorView, from: this): boolean {
    if (from.block !== this.block) return false;
    this.#fill(element);
    return true;
  }

  #fill(element: HTMLElement): void {
    element.dataset.testid = "ghost";
    element.style.setProperty("--who", safeColor(this.color));
    element.replaceChildren(
      ...(this.block
        ? this.lines.map((line, number) =>
            h("div", { class: "ghost-line" }, line || "\u200b", number === 0 && this.tag?.toDOM()),
          )
        : this.lines),
    );
  }

  override get lineBreaks(): number {
    return 0;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

class Tag extends WidgetType {
  constructor(
    readonly text: string,
    readonly color: string,
    readonly mine: boolean,
  ) {
    super();
  }

  override eq(other: Tag): boolean {
    return this.text === other.text && this.color === other.color && this.mine === other.mine;
  }

  override toDOM(): HTMLElement {
    const element = h(
      "span",
      { class: this.mine ? "ghost-tag mine" : "ghost-tag", "aria-hidden": "true", "data-testid": "ghost-tag" },
      this.mine ? h("kbd", {}, this.text) : this.text,
    );
    element.style.setProperty("--who", safeColor(this.color));
    return element;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

const gone = Decoration.mark({ class: "ghost-gone" });

interface Shown {
  ghosts: readonly Ghost[];
  decorations: DecorationSet;
}

function shown(doc: Text, ghosts: readonly Ghost[]): Shown {
  const fitting: Ghost[] = [];
  // The person's own first: another's over the same lines would only be hard to read.
  for (const ghost of [...ghosts].sort((a, b) => Number(b.mine) - Number(a.mine))) {
    const free = fitting.every((other) => ghost.to < other.from || other.to < ghost.from);
    if (free && ghost.to <= doc.length) fitting.push(ghost);
  }
  return {
    ghosts: fitting,
    decorations: Decoration.set(
      fitting.flatMap((ghost) => draw(doc, ghost)),
      true,
    ),
  };
}

function draw(doc: Text, ghost: Ghost): Range<Decoration>[] {
  const ranges: Range<Decoration>[] = [];
  let tag: Tag | null = new Tag(ghost.tag, ghost.color, ghost.mine);
  const block = (lines: string[], at: number, side: number) => {
    const widget = new GhostText(lines, true, tag, ghost.color);
    tag = null;
    ranges.push(Decoration.widget({ widget, side, block: true }).range(at));
  };
  for (const edit of ghost.edits) {
    const { inline, above, below } = placed(doc, edit);
    if (edit.from < edit.to) ranges.push(gone.range(edit.from, edit.to));
    if (above.length > 0) block(above, edit.from, -1);
    if (inline !== "") {
      const widget = new GhostText([inline], false, null, ghost.color);
      ranges.push(Decoration.widget({ widget, side: 1 }).range(edit.to));
      if (below.length > 0 && doc.lineAt(edit.to).length === 0) {
        const attributes = { style: `--who: ${safeColor(ghost.color)}` };
        ranges.push(Decoration.line({ class: "ghost-host", attributes }).range(edit.to));
      }
    }
    if (tag && (inline !== "" || below.length === 0) && above.length === 0) {
      // Behind the line, where it moves nothing.
      ranges.push(Decoration.widget({ widget: tag, side: 2 }).range(doc.lineAt(edit.from).to));
      tag = null;
    }
    if (below.length > 0) block(below, edit.to, 3);
  }
  return ranges;
}

/** A ghost after a change of the text, or null where that has touched its lines. */
function moved(ghost: Ghost, changes: ChangeDesc): Ghost | null {
  if (changes.touchesRange(ghost.from, ghost.to)) return null;
  const by = changes.mapPos(ghost.from) - ghost.from;
  if (by === 0) return ghost;
  const edits = ghost.edits.map((edit) => ({ ...edit, from: edit.from + by, to: edit.to + by }));
  return { ...ghost, from: ghost.from + by, to: ghost.to + by, edits };
}

const field = StateField.define<Shown>({
  create: () => ({ ghosts: [], decorations: Decoration.none }),
  update(value, transaction) {
    let now = value;
    if (transaction.docChanged && value.ghosts.length > 0) {
      const left = value.ghosts.flatMap((ghost) => moved(ghost, transaction.changes) ?? []);
      now = shown(transaction.newDoc, left);
    }
    for (const effect of transaction.effects) {
      if (effect.is(showGhosts)) now = shown(transaction.newDoc, effect.value);
    }
    return now;
  },
  provide: (self) => EditorView.decorations.from(self, (value) => value.decorations),
});

/** `touched` hears of those that a change of the text has taken away. */
export function ghosts(initial: readonly Ghost[], touched: (ids: string[]) => void): Extension {
  return [
    field.init(({ doc }) => shown(doc, initial)),
    EditorView.updateListener.of((update: ViewUpdate) => {
      if (!update.docChanged) return;
      const left = new Set(update.state.field(field).ghosts.map((ghost) => ghost.id));
      const lost = update.startState.field(field).ghosts.filter((ghost) => !left.has(ghost.id));
      if (lost.length > 0) queueMicrotask(() => touched(lost.map((ghost) => ghost.id)));
    }),
  ];
}
