// Who wrote what in the text as it stands: a tint that may be switched on, and its legend.
import { StateEffect } from "@codemirror/state";
import { Decoration, type DecorationSet, type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import * as Y from "yjs";
import { historyOverview } from "./api";
import { type Authored, AuthoredRuns, drawAuthored, legend } from "./authored";
import { Authorship } from "./authorship";
import type { Connection } from "./connection";
import { need, safeColor } from "./dom";
import type { Editor } from "./editor";
import type { Participant } from "./protocol";
import type { Rights } from "./rights";

const KEY = "ensemble.authors";
// The records are asked for no more often than this.
const ASK_MS = 1_500;

// From here on the whole file is not gone through at each keystroke.
const MANY_RUNS = 2_000;
const PAUSE_MS = 200;
// As in history.css.
const WIDTH = 320;
const MARGIN = 16;

/** Dispatched when more is known of who wrote what, or the tint is switched. */
const authorsChanged = StateEffect.define<null>();

interface Options {
  session: string;
  connection: Connection;
  rights: Rights;
}

export class Authors {
  readonly #switch = need<HTMLInputElement>("#show-authors");
  readonly #menu = need("#view-menu");
  readonly #o: Options;
  #authorship = new Authorship([]);
  #people: Participant[] = [];
  #shown = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Clients that the server did not know when it was last asked: not asked for again and again. */
  #strangers = new Set<number>();
  #editor: Editor | null = null;
  #runs: () => Authored[] = () => [];

  constructor(options: Options) {
    this.#o = options;
    const { connection, rights } = options;
    this.#switch.addEventListener("change", () => {
      remember(this.#switch.checked);
      this.#apply();
    });
    rights.on("change", () => this.#apply());
    const people = ({ participants }: { participants: Participant[] }) => {
      this.#people = participants;
      this.#addPeople();
      this.#tell();
    };
    connection.on("welcome", people);
    connection.on("participants", people);
    // The room's own client writes for one run after the other: only the records say from where on.
    for (const event of ["run.started", "run.finished", "run.card"] as const)
      connection.on(event, () => this.#askSoon());
    this.#menu.addEventListener("beforetoggle", () => {
      this.#place();
      this.#showLegend();
    });
  }

  /** After the editor has been made, whose extensions ask this. */
  attach(editor: Editor): void {
    this.#editor = editor;
    this.#switch.checked = remembered();
    this.#apply();
  }

  #apply(): void {
    const shown = this.#switch.checked && this.#o.rights.may("history");
    if (shown === this.#shown) return;
    this.#shown = shown;
    document.body.toggleAttribute("data-authors", shown);
    if (shown) void this.#ask();
    this.#tell();
  }

  #askSoon(): void {
    if (this.#shown) this.#timer ??= setTimeout(() => void this.#ask(), ASK_MS);
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#authorship = new Authorship((await historyOverview(this.#o.session)).authors);
    } catch {
      // Offline, say: what is known already is shown.
      return;
    }
    this.#addPeople();
    this.#tell();
  }

  #addPeople(): void {
    for (const { participant, name, color, clients } of this.#people) {
      const writer = { key: `person:${participant}`, name, color: safeColor(color), model: false };
      for (const client of clients) this.#authorship.add(client, writer);
    }
  }

  #tell(): void {
    this.#editor?.view.dispatch({ effects: authorsChanged.of(null) });
    if (this.#menu.matches(":popover-open")) this.#showLegend();
  }

  /** Under its button. */
  #place(): void {
    const button = need("#view-button").getBoundingClientRect();
    const page = document.documentElement.clientWidth;
    const width = Math.min(WIDTH, page - 2 * MARGIN);
    this.#menu.style.top = `${button.bottom + 4}px`;
    this.#menu.style.left = `${Math.max(MARGIN, Math.min(button.right, page - MARGIN) - width)}px`;
  }

  #showLegend(): void {
    const list = this.#shown ? legend(this.#runs()) : [];
    need("#authors-legend").replaceChildren(...list);
    need("#authors-nobody").hidden = !this.#shown || list.length > 0;
  }

  #collect(text: Y.Text): Authored[] {
    const collected = new AuthoredRuns(this.#authorship);
    for (let item = text._start; item !== null; item = item.right) {
      if (item.deleted || !(item.content instanceof Y.ContentString)) continue;
      const { client, clock } = item.id;
      collected.add(client, clock, item.length);
      if (!this.#authorship.knows(client) && !this.#strangers.has(client)) {
        this.#strangers.add(client);
        this.#askSoon();
      }
    }
    return collected.runs;
  }

  /** For the state of one file. Must come after the Yjs binding. */
  extension(text: Y.Text) {
    const authors = this;
    class Tint {
      decorations: DecorationSet = Decoration.none;
      #drawn: Authored[] = [];
      #timer: ReturnType<typeof setTimeout> | undefined;

      constructor(view: EditorView) {
        authors.#runs = () => authors.#collect(text);
        this.#draw(view, true);
      }

      update(update: ViewUpdate): void {
        const told = update.transactions.some((each) => each.effects.some((effect) => effect.is(authorsChanged)));
        if (update.docChanged && !told && this.#drawn.length > MANY_RUNS) {
          // What is drawn moves along, and new text gets its colour in the next pause.
          this.decorations = this.decorations.map(update.changes);
          this.#timer ??= setTimeout(() => update.view.dispatch({ effects: authorsChanged.of(null) }), PAUSE_MS);
        } else if (told || update.docChanged) this.#draw(update.view, true);
        else if (update.viewportChanged) this.#draw(update.view, this.#timer !== undefined);
      }

      destroy(): void {
        clearTimeout(this.#timer);
      }

      #draw(view: EditorView, anew: boolean): void {
        if (!authors.#shown) {
          this.decorations = Decoration.none;
          return;
        }
        if (anew) {
          clearTimeout(this.#timer);
          this.#timer = undefined;
          this.#drawn = authors.#collect(text);
        }
        this.decorations = drawAuthored(view, this.#drawn);
      }
    }
    return ViewPlugin.fromClass(Tint, { decorations: (plugin) => plugin.decorations });
  }
}

function remember(on: boolean): void {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}
