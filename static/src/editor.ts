// The CodeMirror view: one for the page, with a state per file. Owns which file is open.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorSelection, EditorState, type Extension } from "@codemirror/state";
import {
  crosshairCursor,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  rectangularSelection,
} from "@codemirror/view";
import { ObservableV2 } from "lib0/observable";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { carets } from "./carets";
import type { FileStore } from "./filestore";
import { flash, flashes } from "./flash";
import { type Ghost, ghosts, showGhosts } from "./ghost";
import { look } from "./highlight";
import { indentation } from "./indentation";
import { languageFor } from "./languages";
import type { Selection } from "./protocol";
import { regions, regionsChanged } from "./regions";
import { restoring } from "./restore";
import type { Span, Sticky } from "./sticky";

const MEASURED_BYTES = 10_000;

interface Options {
  parent: HTMLElement;
  files: FileStore;
  awareness: Awareness;
  nonce: string;
  editable: boolean;
  liveRegions: (file: string) => Sticky[];
  /** What the instruction being typed is about. */
  aimed: (file: string) => Sticky[];
  /** What is drawn of edits that are not in the text. */
  ghosts: (file: string) => Ghost[];
  /** Such edits whose text has changed. */
  ghostsTouched: (ids: string[]) => void;
  /** What is drawn under the text, such as who wrote it. */
  tint: (text: Y.Text) => Extension;
  /** Why so many bytes more cannot be taken, or null. */
  refusal: (bytes: number) => string | null;
  refused: (why: string) => void;
}

type Events = {
  /** Another file is open, or none. */
  open: (file: string | null) => void;
  language: (name: string) => void;
  /** This file holds what is not text: it is shown, but cannot be edited here. */
  broken: (file: string) => void;
};

/** Chromium offers to undo what was typed into an element before it became read-only, and the binding would do it. */
const refuseInput = EditorView.domEventHandlers({ beforeinput: () => true });

interface Place {
  selection: Selection;
  scrollTop: number;
}

export class Editor extends ObservableV2<Events> {
  readonly view: EditorView;
  #file: string | null = null;
  #shownPath: string | null = null;
  readonly #undo = new Map<string, Y.UndoManager>();
  readonly #places = new Map<string, Place>();
  readonly #language = new Compartment();
  readonly #access = new Compartment();
  #editable: boolean;
  readonly #o: Options;

  constructor(options: Options) {
    super();
    this.#o = options;
    this.#editable = options.editable;
    this.view = new EditorView({
      parent: options.parent,
      state: EditorState.create({ extensions: [this.#base(), EditorView.editable.of(false)] }),
    });
    options.files.on("change", () => this.#follow());
  }

  get file(): string | null {
    return this.#file;
  }

  get selection(): Selection {
    const { anchor, head } = this.view.state.selection.main;
    return { anchor, head };
  }

  open(file: string | null): void {
    if (file === this.#file) return;
    if (this.#file) {
      this.#places.set(this.#file, { selection: this.selection, scrollTop: this.view.scrollDOM.scrollTop });
    }
    this.#file = file;
    this.#o.awareness.setLocalStateField("cursor", null);
    this.#o.awareness.setLocalStateField("file", file ?? undefined);
    this.#show();
    this.emit("open", [file]);
  }

  focus(): void {
    this.view.focus();
  }

  /** Scrolls a range into view, opening its file; `select` also puts the caret there. */
  reveal(file: string, span: Span, select = false): void {
    this.open(file);
    const length = this.view.state.doc.length;
    const from = Math.min(span.from, length);
    const to = Math.min(span.to, length);
    const shown = EditorSelection.range(from, to);
    this.view.dispatch({
      ...(select ? { selection: EditorSelection.cursor(from) } : {}),
      effects: EditorView.scrollIntoView(shown, { y: "center" }),
    });
  }

  /** Scrolls no more than it takes for a position to be seen. */
  keepInView(file: string, at: number): void {
    if (file !== this.#file) return;
    const position = Math.min(at, this.view.state.doc.length);
    this.view.dispatch({ effects: EditorView.scrollIntoView(position, { y: "nearest", yMargin: 48, xMargin: 80 }) });
  }

  revealLine(file: string, line: number): void {
    this.open(file);
    const doc = this.view.state.doc;
    const { from, to } = doc.line(Math.max(1, Math.min(line, doc.lines)));
    this.reveal(file, { from, to });
  }

  /** Shows a line that something has led to. */
  flashLine(file: string, line: number): void {
    this.revealLine(file, line);
    if (file === this.#file) flash(this.view, line);
  }

  refreshRegions(): void {
    this.view.dispatch({ effects: regionsChanged.of(null) });
  }

  /** Lines may come above the caret's: for who writes in the text, theirs stays where it is on the screen. */
  refreshGhosts(): void {
    if (this.#file === null) return;
    const { view } = this;
    const caret = () => (view.hasFocus ? view.coordsAtPos(view.state.selection.main.head)?.top : undefined);
    const before = caret();
    view.dispatch({ effects: showGhosts.of(this.#o.ghosts(this.#file)) });
    const after = before === undefined ? undefined : caret();
    if (before !== undefined && after !== undefined) view.scrollDOM.scrollTop += after - before;
  }

  #base(): Extension {
    return [
      EditorView.cspNonce.of(this.#o.nonce),
      // One unit of text for one unit of Y.Text: only \n breaks a line, and pasted text brings no \r.
      EditorState.lineSeparator.of("\n"),
      EditorView.clipboardInputFilter.of((text) => text.replace(/\r\n?/g, "\n")),
      lineNumbers(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      foldGutter(),
      drawSelection(),
      dropCursor(),
      EditorState.allowMultipleSelections.of(true),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion(),
      rectangularSelection(),
      crosshairCursor(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      search({ top: true }),
      look,
      keymap.of([
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...foldKeymap,
        ...completionKeymap,
        indentWithTab,
      ]),
      // A read-only text still takes the focus, so that it can be selected and scrolled by keyboard.
      EditorView.contentAttributes.of({ tabindex: "0" }),
    ];
  }

  /** Of a file whose text is bound. Undo writes as well, and read-only alone does not keep it from that. */
  #accessNow(): Extension {
    const editable = this.#editable;
    return [
      EditorView.editable.of(editable),
      EditorState.readOnly.of(!editable),
      editable ? keymap.of(yUndoManagerKeymap) : refuseInput,
      EditorView.contentAttributes.of({
        "aria-label": editable ? "Editor. Escape, then Tab, leaves it" : "Editor, read only",
      }),
    ];
  }

  /** The person's role has changed. The text, the caret and the place in it stay. */
  setEditable(editable: boolean): void {
    if (editable === this.#editable) return;
    this.#editable = editable;
    this.view.dispatch({ effects: this.#access.reconfigure(this.#accessNow()) });
  }

  #show(): void {
    const file = this.#file;
    const text = file === null ? null : this.#o.files.text(file);
    if (file === null || text === null) {
      this.view.setState(EditorState.create({ extensions: [this.#base(), EditorView.editable.of(false)] }));
      return;
    }
    const content = text.toString();
    if (content.length !== text.length) {
      this.view.setState(
        EditorState.create({ doc: content, extensions: [this.#base(), EditorView.editable.of(false)] }),
      );
      this.emit("broken", [file]);
      return;
    }
    const place = this.#places.get(file);
    const within = (at: number) => Math.min(at, text.length);
    this.view.setState(
      EditorState.create({
        doc: content,
        selection: place
          ? { anchor: within(place.selection.anchor), head: within(place.selection.head) }
          : { anchor: 0 },
        extensions: [
          this.#access.of(this.#accessNow()),
          this.#base(),
          this.#refuseTooLarge(),
          yCollab(text, null, { undoManager: this.#undoManager(file, text) }),
          this.#o.tint(text),
          flashes,
          carets(text, this.#o.awareness),
          regions(
            text,
            () => this.#o.liveRegions(file),
            () => this.#o.aimed(file),
          ),
          ghosts(this.#o.ghosts(file), this.#o.ghostsTouched),
          this.#checkFaithful(text),
          this.#language.of([]),
        ],
      }),
    );
    this.view.scrollDOM.scrollTop = place?.scrollTop ?? 0;
    void this.#chooseLanguage(file, text);
  }

  /** What is restored in these files can be undone in each, and apart from what was typed before and after. */
  trackRestoring(files: string[]): void {
    for (const file of files) {
      const text = this.#o.files.text(file);
      if (text) this.#undoManager(file, text).stopCapturing();
    }
  }

  /** Only what this page itself typed or restored is tracked: undo never takes back what others, or the model, wrote. */
  #undoManager(file: string, text: Y.Text): Y.UndoManager {
    let manager = this.#undo.get(file);
    // A file that was deleted and came back has another text.
    if (!manager?.scope.includes(text)) {
      manager = new Y.UndoManager(text, { trackedOrigins: new Set([restoring]), captureTimeout: 400 });
      this.#undo.set(file, manager);
    }
    return manager;
  }

  #refuseTooLarge(): Extension {
    return EditorState.changeFilter.of((transaction) => {
      if (!transaction.isUserEvent("input")) return true;
      let bytes = 0;
      transaction.changes.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
        // A UTF-16 unit is at most three bytes of UTF-8; only large texts are measured.
        const most = inserted.length * 3;
        bytes += most < MEASURED_BYTES ? most : new TextEncoder().encode(inserted.toString()).length;
      });
      const why = this.#o.refusal(bytes);
      if (why === null) return true;
      this.#o.refused(why);
      return false;
    });
  }

  /** A foreign client may put into a Y.Text what is not text; positions would then drift apart: begin anew. */
  #checkFaithful(text: Y.Text): Extension {
    return EditorView.updateListener.of((update) => {
      if (update.docChanged && update.state.doc.length !== text.length) queueMicrotask(() => this.#show());
    });
  }

  async #chooseLanguage(file: string, text: Y.Text): Promise<void> {
    const path = this.#o.files.path(file) ?? "";
    const { name, support } = await languageFor(path, text.toString());
    if (this.#file !== file) return;
    this.view.dispatch({ effects: this.#language.reconfigure([support ?? [], indentation(name)]) });
    this.emit("language", [name]);
  }

  /** The list of files changed: the open one may be gone, or have a new name and so a new language. */
  #follow(): void {
    if (this.#file === null) return;
    const text = this.#o.files.text(this.#file);
    if (text === null) {
      this.#undo.delete(this.#file);
      this.#places.delete(this.#file);
      // The next keys were not meant for another file.
      this.view.contentDOM.blur();
      this.open(this.#o.files.list()[0]?.id ?? null);
      return;
    }
    const path = this.#o.files.path(this.#file);
    if (path !== this.#shownPath) void this.#chooseLanguage(this.#file, text);
    this.#shownPath = path;
  }
}
