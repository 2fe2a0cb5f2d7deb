// The read-only view of a file at a moment of the history: who wrote what, and what the last step changed.

import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, StateEffect } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view";
import { type Authored, AuthoredRuns, drawAuthored } from "./authored";
import type { Authorship } from "./authorship";
import { h } from "./dom";
import { look } from "./highlight";
import type { Version } from "./history";
import { languageFor } from "./languages";
import type { OldFile } from "./segment";

// A deleted page is told, not shown in the midst of the text.
const MOST_GONE = 160;

interface Shown {
  runs: Authored[];
  gone: { at: number; text: string }[];
}

const show = StateEffect.define<Shown>();

class GoneWidget extends WidgetType {
  constructor(readonly text: string) {
    super();
  }

  override eq(other: GoneWidget): boolean {
    return other.text === this.text;
  }

  override toDOM(): HTMLElement {
    const shown = this.text.length > MOST_GONE ? `${this.text.slice(0, MOST_GONE)}…` : this.text;
    return h("del", { class: "gone", "aria-label": `Deleted: ${shown}` }, shown.replaceAll("\n", "⏎"));
  }
}

class Authors {
  decorations: DecorationSet = Decoration.none;
  gone: DecorationSet = Decoration.none;
  #shown: Shown = { runs: [], gone: [] };

  update(update: ViewUpdate): void {
    for (const { effects } of update.transactions) {
      for (const effect of effects) {
        if (!effect.is(show)) continue;
        this.#shown = effect.value;
        this.gone = Decoration.set(
          effect.value.gone.map(({ at, text }) =>
            Decoration.widget({ side: 1, widget: new GoneWidget(text) }).range(at),
          ),
        );
      }
    }
    this.decorations = drawAuthored(update.view, this.#shown.runs);
  }
}

const authors = ViewPlugin.fromClass(Authors, {
  decorations: (plugin) => plugin.decorations,
  provide: (plugin) => EditorView.decorations.of((view) => view.plugin(plugin)?.gone ?? Decoration.none),
});

export class OldTextView {
  readonly view: EditorView;
  readonly #language = new Compartment();
  #file: string | null = null;
  #path = "";

  constructor(parent: HTMLElement, nonce: string) {
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          EditorView.cspNonce.of(nonce),
          EditorState.lineSeparator.of("\n"),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ tabindex: "0", "aria-label": "The file at this moment, read only" }),
          lineNumbers(),
          highlightSpecialChars(),
          drawSelection(),
          search({ top: true }),
          keymap.of(searchKeymap),
          look,
          authors,
          this.#language.of([]),
        ],
      }),
    });
  }

  clear(): void {
    this.#file = null;
    this.#set("", { runs: [], gone: [] }, null);
  }

  /** Returns who wrote what is shown. */
  show({ segment, index, position }: Version, { id: file, path }: OldFile, authorship: Authorship): Authored[] {
    const collected = new AuthoredRuns(authorship);
    const gone: Shown["gone"] = [];
    const parts: string[] = [];
    let changed: number | null = null;
    for (const piece of segment.pieces(file)) {
      if (piece.died === index && piece.born < index) {
        changed ??= collected.length;
        const last = gone.at(-1);
        if (last?.at === collected.length) last.text += piece.text;
        else gone.push({ at: collected.length, text: piece.text });
      }
      if (piece.born > index || piece.died <= index) continue;
      // The first change brings everything: nothing of it is news.
      const fresh = piece.born === index && position > 1;
      if (fresh) changed ??= collected.length;
      parts.push(piece.text);
      collected.add(piece.client, piece.clock, piece.text.length, fresh);
    }
    const again = this.#file === file;
    this.#file = file;
    this.#set(parts.join(""), { runs: collected.runs, gone }, changed ?? (again ? null : 0));
    if (path !== this.#path || !again) void this.#chooseLanguage(path);
    return collected.runs;
  }

  /** Changes what differs and nothing else, so that the view keeps its place and its syntax tree. */
  #set(text: string, shown: Shown, reveal: number | null): void {
    const old = this.view.state.doc.toString();
    let from = 0;
    const most = Math.min(old.length, text.length);
    while (from < most && old.charCodeAt(from) === text.charCodeAt(from)) from++;
    let end = 0;
    while (end < most - from && old.charCodeAt(old.length - 1 - end) === text.charCodeAt(text.length - 1 - end)) end++;
    const scroll = reveal === null ? [] : [EditorView.scrollIntoView(reveal, { y: "nearest", yMargin: 80 })];
    this.view.dispatch({
      changes: { from, to: old.length - end, insert: text.slice(from, text.length - end) },
      effects: [show.of(shown), ...scroll],
    });
  }

  async #chooseLanguage(path: string): Promise<void> {
    this.#path = path;
    const { support } = await languageFor(path, this.view.state.doc.toString());
    if (this.#path === path) this.view.dispatch({ effects: this.#language.reconfigure(support ?? []) });
  }
}
