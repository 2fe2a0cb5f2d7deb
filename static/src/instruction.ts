// The instruction bar: at the bottom of the editor, or the same input at the caret.
import type { Aim } from "./aim";
import type { AskMode } from "./askmode";
import type { Connection } from "./connection";
import { mod, need, setIcon } from "./dom";
import { DraftHint } from "./drafthint";
import type { Draft, Drafts } from "./drafts";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";
import { Floating } from "./floating";
import { ModelPill } from "./modelpill";
import { toast } from "./notices";
import { INSTRUCTION_LIMIT } from "./protocol";
import type { Rights } from "./rights";
import { isLive, type Runs } from "./runs";
import { TypingLines } from "./typing";
import type { Variants } from "./variants";

interface Given {
  text: string;
  /** The runs and variants that were there already. */
  before: Set<string>;
}

interface Options {
  connection: Connection;
  editor: Editor;
  files: FileStore;
  drafts: Drafts;
  variants: Variants;
  aim: Aim;
  runs: Runs;
  rights: Rights;
  askMode: AskMode;
  isMe: (participant: string) => boolean;
  /** Takes what the model would have tried, where that is offered; says whether it did. */
  takeTry: () => boolean;
  /** A question was given: its answer comes in the timeline. */
  asked: () => void;
}

const HISTORY = 50;
const VARIANTS = 3;
const narrow = matchMedia("(max-width: 479px)");
// Somebody writes in the lines of a draft: another one when they rest for a moment.
const RETRY_MS = 250;

export class InstructionBar {
  readonly #form = need<HTMLFormElement>("#instruction");
  readonly #input = need<HTMLTextAreaElement>("#instruction-input");
  readonly #button = need<HTMLButtonElement>("#run-button");
  readonly #more = need<HTMLButtonElement>("#run-more");
  readonly #typing: TypingLines;
  readonly #o: Options;
  readonly #history: string[] = [];
  #at = 0;
  #frame = 0;
  /** Given to the server, not yet answered: comes back into the input if it is refused, or was lost on the way. */
  #given: Given | null = null;
  /** What the server was told last of the line. */
  #told = "";
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #hint: DraftHint;
  readonly #floating: Floating;
  readonly #pill: ModelPill;

  constructor(options: Options) {
    this.#o = options;
    const { connection, runs, drafts } = options;
    this.#typing = new TypingLines(connection, options.isMe);
    this.#floating = new Floating(this.#form, options.editor);
    this.#hint = new DraftHint(drafts, options.editor, options.files);
    options.askMode.on("change", () => {
      this.#showButton();
      this.#tellAgain(0);
    });
    options.askMode.on("ask", () => this.#input.focus());
    drafts.on("change", () => {
      this.#showButton();
      // When it is drawn.
      requestAnimationFrame(() => this.#floating.giveWay());
    });
    options.variants.on("change", () => this.#showButton());
    options.variants.on("begin", (offer) => {
      if (offer.unsure) return; // it answers nothing that is on its way
      if (options.isMe(offer.by.participant)) this.#arrived(offer);
      this.#typing.clear(offer.by.participant);
    });
    options.variants.on("gone", () => this.#tellAgain(RETRY_MS));
    drafts.on("lost", (participant) => options.isMe(participant) && this.#tellAgain(RETRY_MS));
    drafts.on("state", ({ state }) => state === "on" && this.#tellAgain(RETRY_MS));
    connection.on("instruction.region", ({ file, regions }) => {
      if (this.#aims) options.aim.show(file, regions);
    });
    options.aim.on("change", () => this.#showAim());
    connection.on("open", () => {
      this.#told = "";
      // By then all that goes on has been told again: what is not there never arrived.
      const given = this.#given;
      if (given) connection.once("synced", () => given === this.#given && this.#lost());
    });
    this.#pill = new ModelPill(connection);
    this.#pill.on("change", () => this.#showButton());
    connection.on("error", (error) => this.#refused(error.run));
    runs.on("begin", (run) => this.#typing.clear(run.by.participant));
    runs.on("change", (run) => {
      if (options.isMe(run.by.participant)) this.#arrived(run);
      this.#showButton();
      // While the model writes there are no drafts.
      if (!isLive(run) && runs.live().length === 0) this.#tellAgain(RETRY_MS);
    });
    runs.on("reset", () => this.#showButton());
    options.rights.on("change", () => this.#showRights());
    this.#listen();
    this.#showRights();
  }

  /** Whether Enter would begin a run of its own: else it changes the course of one, whose lines are marked already. */
  get #aims(): boolean {
    const { editor, runs, askMode } = this.#o;
    if (askMode.mode === "ask" || this.#input.value.trim() === "" || editor.file === null) return false;
    return runs.steerable(editor.file, "edit") === undefined;
  }

  #showAim(): void {
    const { words } = this.#o.aim;
    need("#aim-hint").hidden = words === "";
    need("#caret-hint").hidden = words !== "";
    need("#aim-hint").textContent = words;
  }

  /** What was typed stays in the hidden input: the role may come back. */
  #showRights(): void {
    const { rights, editor } = this.#o;
    if (!rights.may("instruct") && this.#form.contains(document.activeElement)) {
      this.#floating.dock();
      editor.focus();
    }
    this.#form.hidden = !rights.may("instruct");
    this.#showButton();
  }

  /** Moves the input to the caret, where there is room for that. */
  openAtCaret(): void {
    if (this.#input.disabled || !this.#o.rights.may("instruct")) return;
    this.#floating.open();
    this.#input.focus();
    this.#floating.place();
  }

  #listen(): void {
    const { editor } = this.#o;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(false);
    });
    this.#input.addEventListener("input", () => {
      // A question may begin with its mark.
      if (this.#input.value.startsWith("?") && this.#o.askMode.mode === "edit") {
        this.#input.value = this.#input.value.slice(1).trimStart();
        this.#o.askMode.set("ask");
      }
      this.#fit();
      this.#showButton();
      this.#frame ||= requestAnimationFrame(() => this.#sendTyped());
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    // The caret may be elsewhere, in another file perhaps, than when the line was typed.
    this.#input.addEventListener("focus", () => this.#tellAgain(0));
    this.#input.addEventListener("blur", () => {
      // A click into the text or elsewhere ends the visit at the caret; what was typed stays.
      if (this.#floating.on) setTimeout(() => this.#form.contains(document.activeElement) || this.#floating.dock(), 0);
    });
    const menu = need("#run-menu");
    menu.addEventListener("toggle", () => {
      const box = this.#button.getBoundingClientRect();
      menu.style.bottom = `${innerHeight - box.top + 8}px`;
      menu.style.right = `${Math.max(8, innerWidth - this.#more.getBoundingClientRect().right)}px`;
    });
    need("#run-variants").addEventListener("click", () => {
      menu.hidePopover();
      this.#askVariants();
    });
    editor.on("open", () => this.#showButton());
    addEventListener("keydown", (event) => {
      if (!(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey) return;
      if (event.key !== "k" && event.key !== "K") return;
      event.preventDefault();
      this.openAtCaret();
    });
  }

  #key(event: KeyboardEvent): void {
    // Safari ends a composition before the Enter that ends it.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#askVariants();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      // Alt+Enter: a run of its own although another is writing.
      this.#submit(event.altKey);
    } else if (event.key === "Tab" && !event.shiftKey && this.#draft()) {
      event.preventDefault();
      this.#submit(true);
    } else if (event.key === "Tab" && !event.shiftKey && this.#input.value === "" && this.#o.takeTry()) {
      event.preventDefault();
    } else if (event.key === "Escape" && this.#draft()) {
      // The line stays: going on with it makes another draft.
      event.preventDefault();
      this.#tell("");
      this.#o.drafts.dropMine();
    } else if (event.key === "Escape") {
      event.preventDefault();
      const offer = this.#o.variants.mine();
      if (offer) {
        this.#o.variants.drop(offer);
        return;
      }
      const own = this.#o.runs.live().findLast((run) => this.#o.isMe(run.by.participant));
      if (own && !own.stopping) this.#o.runs.stop(own);
      this.#floating.dock();
      this.#o.editor.focus();
    } else if (event.key === "ArrowUp" && this.#input.selectionStart === 0 && this.#at > 0) {
      event.preventDefault();
      this.#recall(--this.#at);
    } else if (event.key === "ArrowDown" && this.#at < this.#history.length && this.#atEnd()) {
      event.preventDefault();
      this.#recall(++this.#at);
    }
  }

  #atEnd(): boolean {
    return this.#input.selectionEnd === this.#input.value.length;
  }

  #recall(at: number): void {
    this.#input.value = this.#history[at] ?? "";
    this.#input.setSelectionRange(0, 0);
    this.#input.dispatchEvent(new Event("input"));
  }

  #submit(apart: boolean): void {
    const text = this.#input.value.trim();
    const { editor, runs, variants, askMode } = this.#o;
    if (text === "" || editor.file === null || this.#button.disabled) return;
    const steered = apart ? undefined : runs.steerable(editor.file, askMode.mode);
    if (askMode.mode === "ask") {
      const sent = runs.ask(text, editor.file, editor.selection, steered ?? askMode.onto);
      if (sent) this.#o.asked();
      askMode.onto = null;
      this.#gave(text, sent);
      return;
    }
    const offer = apart ? undefined : variants.steerable();
    const sent = offer
      ? variants.steer(offer, text)
      : steered
        ? runs.steer(steered, text)
        : runs.start(text, editor.file, editor.selection);
    this.#gave(text, sent);
  }

  /** Several replies, to choose from. */
  #askVariants(): void {
    const text = this.#input.value.trim();
    const { connection, editor, variants, askMode } = this.#o;
    if (askMode.mode === "ask") {
      this.#submit(false);
      return;
    }
    if (text === "" || editor.file === null || this.#button.disabled) return;
    const count = Math.min(VARIANTS, connection.limits.max_variants ?? VARIANTS);
    this.#gave(text, variants.start(text, editor.file, editor.selection, count));
  }

  #gave(text: string, sent: boolean): void {
    clearTimeout(this.#retry);
    if (!sent) {
      toast("You are offline: the model cannot be asked until the connection is back.", "warn");
      return;
    }
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { runs, variants } = this.#o;
    const before = [...runs.all(), variants.mine()].flatMap((each) => each?.id ?? []);
    this.#given = { text, before: new Set(before) };
    this.#told = "";
    if (this.#history.at(-1) !== text) this.#history.push(text);
    if (this.#history.length > HISTORY) this.#history.shift();
    this.#at = this.#history.length;
    this.#input.value = "";
    this.#fit();
    this.#showButton();
    if (this.#floating.on) {
      this.#floating.dock();
      this.#o.editor.focus();
    }
  }

  #sendTyped(): void {
    this.#frame = 0;
    this.#tell(this.#input.value);
  }

  #tell(text: string): void {
    const { connection, editor } = this.#o;
    if (editor.file === null) return;
    const ask = this.#o.askMode.mode === "ask" ? { mode: "ask" as const } : {};
    const line = { text, file: editor.file, selection: editor.selection, ...ask };
    const told = JSON.stringify(line);
    if (told === this.#told) return;
    if (connection.send({ type: "instruction.typed", ...line })) this.#told = told;
  }

  /** What stands in the bar, where something else than typing calls for another draft of it. */
  #tellAgain(wait: number): void {
    clearTimeout(this.#retry);
    if (this.#input.value.trim() === "") return;
    this.#retry = setTimeout(() => {
      // Saying again what stands here is no word that would drop what is offered.
      if (this.#o.variants.mine()?.unsure) return;
      this.#told = wait > 0 ? "" : this.#told;
      this.#tell(this.#input.value);
    }, wait);
  }

  /** The draft that Enter takes. */
  #draft(): Draft | null {
    const { drafts, runs } = this.#o;
    const busy = runs.live().length > 0 || this.#o.variants.steerable() !== undefined;
    return this.#input.value.trim() === "" || busy ? null : drafts.mine();
  }

  #refused(run: string | undefined): void {
    if (run === undefined) this.#giveBack();
  }

  #arrived({ id, instruction }: { id: string; instruction: string }): void {
    if (this.#given?.text === instruction && !this.#given.before.has(id)) this.#given = null;
  }

  #lost(): void {
    const where = this.#giveBack() ? "it is back in the line" : "arrow up in the line brings it back";
    toast(`The connection was lost before your instruction arrived: ${where}.`, "warn");
  }

  /** Into an empty input only. */
  #giveBack(): boolean {
    const given = this.#given;
    this.#given = null;
    if (!given || this.#input.value !== "") return false;
    this.#input.value = given.text;
    this.#fit();
    this.#showButton();
    return true;
  }

  #fit(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(this.#input.scrollHeight, 160)}px`;
    this.#floating.place();
  }

  #showButton(): void {
    if (!this.#aims) this.#o.aim.clear();
    const { runs, variants, askMode } = this.#o;
    const ask = askMode.mode === "ask";
    const live = runs.steerable(this.#o.editor.file, askMode.mode) !== undefined;
    const steering = live || (!ask && variants.steerable() !== undefined);
    const draft = this.#draft();
    const label = ask ? "Ask" : steering ? "Steer" : draft ? "Take" : "Run";
    const shown = need("#run-label");
    if (shown.textContent !== label) {
      shown.textContent = label;
      setIcon(this.#button, steering ? "steer" : draft ? "check" : "run");
    }
    this.#hint.show(draft);
    this.#button.title = steering ? "Enter: change the course of the run. Alt+Enter: a run of its own" : "Enter";
    this.#button.disabled = this.#o.editor.file === null || this.#pill.failed || this.#input.value.trim() === "";
    this.#more.disabled = this.#button.disabled || ask;
    this.#input.disabled = this.#o.editor.file === null;
    this.#input.maxLength = INSTRUCTION_LIMIT;
    const [steer, run] = narrow.matches
      ? ["What differs?", "What should change?"]
      : ["Say what should be different…", "Type what you want changed…"];
    const onto = ask && (live || askMode.onto !== null);
    const edit = steering ? steer : run;
    this.#input.placeholder = onto ? "Ask on…" : ask ? "Ask about this code…" : (edit ?? "");
    this.#input.setAttribute("aria-label", ask ? "What do you want to know?" : "What should the model change?");
  }
}

/** Fills in the shortcuts, as this platform writes them. */
export function showShortcuts(): void {
  for (const element of document.querySelectorAll<HTMLElement>("kbd[data-mod]")) {
    element.textContent = mod(element.dataset.mod ?? "");
  }
}
