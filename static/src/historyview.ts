// The history overlay: any file at any moment, who wrote it, and back to it.
import { ApiError, exportUrl } from "./api";
import { type Authored, legend } from "./authored";
import type { Connection } from "./connection";
import { h, need } from "./dom";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";
import { History, type Version } from "./history";
import { banner, clearBanner } from "./notices";
import { OldTextView } from "./oldtext";
import { describe, isEmpty, type OldText, planRestoration, type Restoration, restore } from "./restore";
import type { Rights } from "./rights";
import { Scrubber } from "./scrubber";
import type { OldFile } from "./segment";

interface Options {
  session: string;
  connection: Connection;
  editor: Editor;
  files: FileStore;
  rights: Rights;
  nonce: string;
}

// Room for what an update holds beside the text.
const UPDATE_ROOM = 2_000;
// A part of the history that the slider only passes over is not fetched.
const REST_MS = 150;
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export class HistoryView {
  readonly #dialog = need<HTMLDialogElement>("#history");
  readonly #select = need<HTMLSelectElement>("#history-file");
  readonly #ask = need("#history-ask");
  readonly #scrubber = new Scrubber();
  readonly #o: Options;
  #text: OldTextView | null = null;
  #history: History | null = null;
  #version: Version | null = null;
  /** What is shown, and what was chosen to be shown: null follows the changes. */
  #file: string | null = null;
  #chosen: OldFile | null = null;
  #forgetUndo = () => {};
  /** Each opening and each move has a number: an answer to an older one comes too late. */
  #opening = 0;
  #move = 0;

  constructor(options: Options) {
    this.#o = options;
    need("#history-button").addEventListener("click", () => void this.open());
    this.#dialog.addEventListener("close", () => this.#close());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    need("#history-close").addEventListener("click", () => this.#dialog.close());
    need("#history-newer").addEventListener("click", () => void this.#load());
    need("#history-restore").addEventListener("click", () => this.#askWhatToRestore());
    need("#history-cancel").addEventListener("click", () => this.#endAsking(true));
    this.#select.addEventListener("change", () => this.#choose());
    this.#scrubber.on("move", (position) => void this.#show(position));
    options.rights.on("change", () => {
      if (!options.rights.may("history")) this.#dialog.close();
    });
    options.files.doc.on("update", () => {
      if (this.#history) need("#history-newer").hidden = false;
    });
  }

  async open(): Promise<void> {
    if (this.#dialog.open) return;
    this.#text ??= new OldTextView(need("#history-text"), this.#o.nonce);
    this.#file = this.#o.editor.file;
    this.#chosen = null;
    this.#dialog.showModal();
    need("#history-slider").focus();
    await this.#load();
  }

  async #load(): Promise<void> {
    const opening = ++this.#opening;
    this.#forget();
    this.#say("Reading the history…");
    try {
      const history = await History.open(this.#o.session, (part) => {
        if (opening === this.#opening) this.#say(`Reading the history… ${Math.round(part * 100)} %`);
      });
      if (opening !== this.#opening || !this.#dialog.open) return;
      this.#history = history;
      this.#scrubber.use(history);
      await this.#show(history.last);
      need("#history-slider").focus();
    } catch (error) {
      if (opening === this.#opening) this.#say(error instanceof ApiError ? error.message : String(error));
    }
  }

  #forget(): void {
    this.#history = this.#version = null;
    this.#scrubber.use(null);
    this.#text?.clear();
    this.#endAsking(false);
    need("#history-newer").hidden = true;
    this.#enable(false);
  }

  #close(): void {
    this.#opening++;
    this.#forget();
  }

  async #show(position: number): Promise<void> {
    const history = this.#history;
    if (!history) return;
    const move = ++this.#move;
    this.#endAsking(false);
    this.#showWhen(position);
    this.#scrubber.busy = true;
    try {
      const read = history.isRead(position);
      if (!read) {
        this.#enable(false);
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
        if (move !== this.#move) return;
      }
      const version = await history.version(position, (part) => {
        if (move === this.#move) this.#say(`Reading this part of the history… ${Math.round(part * 100)} %`);
      });
      if (!read) this.#scrubber.draw();
      if (move !== this.#move || history !== this.#history) return;
      this.#version = version;
      this.#showWhen(position);
      this.#draw();
      this.#enable(true);
    } catch (error) {
      if (move === this.#move) this.#say(error instanceof ApiError ? error.message : String(error));
    } finally {
      if (move === this.#move) this.#scrubber.busy = false;
    }
  }

  #draw(): void {
    const [version, history, view] = [this.#version, this.#history, this.#text];
    if (!version || !history || !view) return;
    this.#endAsking(false);
    const { segment, index, step } = version;
    const files = segment.filesAt(index);
    this.#fillSelect(files);
    const has = (id: string | null) => files.find((file) => file.id === id);
    const shown = this.#chosen ? has(this.#chosen.id) : (has(step.file) ?? has(this.#file) ?? files[0]);
    this.#file = shown?.id ?? null;
    need("#history-path").textContent = this.#chosen ? "" : (shown?.path ?? "");
    let runs: Authored[] = [];
    if (shown) runs = view.show(version, shown, history.authorship);
    else view.clear();
    const missing = this.#chosen
      ? `There was no ${this.#chosen.path} at this moment.`
      : "There were no files at this moment.";
    this.#say(shown ? "" : missing);
    need("#history-legend").replaceChildren(...legend(runs));
    need<HTMLAnchorElement>("#history-export").href = exportUrl(this.#o.session, step.version);
  }

  #choose(): void {
    const id = this.#select.value;
    const path = this.#select.selectedOptions[0]?.textContent ?? "";
    this.#chosen = id === "" ? null : { id, path };
    this.#draw();
  }

  #fillSelect(files: OldFile[]): void {
    const offered = [...files];
    // The choice stays while the slider is at moments without that file.
    if (this.#chosen && !files.some(({ id }) => id === this.#chosen?.id)) offered.push(this.#chosen);
    const wanted = JSON.stringify(offered);
    if (this.#select.dataset.files !== wanted) {
      this.#select.dataset.files = wanted;
      this.#select.replaceChildren(
        h("option", { value: "" }, "Follow the changes"),
        ...offered.map(({ id, path }) => h("option", { value: id }, path)),
      );
    }
    this.#select.value = this.#chosen?.id ?? "";
  }

  #showWhen(position: number): void {
    const history = this.#history;
    if (!history) return;
    const when = moment(history.timeOf(position));
    const which = `Change ${position.toLocaleString()} of ${history.last.toLocaleString()}`;
    const writer = history.writerOf(position);
    need("#history-when").textContent = when;
    need("#history-which").textContent = which;
    const who = need("#history-who");
    who.textContent = writer?.name ?? "";
    who.style.setProperty("--who", writer?.color ?? "transparent");
    who.hidden = !writer;
    this.#scrubber.tell([which, writer?.name, when].filter(Boolean).join(", "));
  }

  #say(text: string): void {
    const state = need("#history-state");
    state.textContent = text;
    state.hidden = text === "";
  }

  #enable(ready: boolean): void {
    need<HTMLButtonElement>("#history-restore").disabled = !ready;
    const link = need<HTMLAnchorElement>("#history-export");
    link.inert = !ready;
    link.setAttribute("aria-disabled", String(!ready));
  }

  #key(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && !this.#ask.hidden) {
      // Not the whole overlay.
      event.preventDefault();
      this.#endAsking(true);
      return;
    }
    const target = event.target as HTMLElement;
    if (target.closest(".cm-editor, select") || (event.key === " " && target.closest("button, a"))) return;
    const act: Record<string, () => void> = {
      " ": () => this.#scrubber.toggle(),
      ArrowLeft: () => (event.shiftKey ? this.#scrubber.leap(-1) : this.#scrubber.step(-1)),
      ArrowRight: () => (event.shiftKey ? this.#scrubber.leap(1) : this.#scrubber.step(1)),
      Home: () => this.#scrubber.step(Number.NEGATIVE_INFINITY),
      End: () => this.#scrubber.step(Number.POSITIVE_INFINITY),
    };
    const chosen = act[event.key];
    if (!chosen) return;
    event.preventDefault();
    chosen();
  }

  // Restoring

  #askWhatToRestore(): void {
    const version = this.#version;
    if (!version) return;
    this.#scrubber.pause();
    const { segment, index } = version;
    const all = segment.filesAt(index).map((file) => ({ ...file, text: segment.textAt(file.id, index) }));
    const one = all.find((file) => file.id === this.#file);
    const when = moment(version.step.at);
    const offers = [...(one ? [this.#offer([one], false, when)] : []), this.#offer(all, true, when)];
    need("#history-offers").replaceChildren(...offers);
    this.#ask.hidden = false;
    need("#history-cancel").focus();
  }

  #offer(then: OldText[], whole: boolean, when: string): HTMLElement {
    const plan = planRestoration(this.#o.files, then, whole);
    const name = whole ? "all files" : (then[0]?.path ?? "");
    if (isEmpty(plan))
      return h("p", { class: "offer muted" }, `Now ${whole ? "all files are" : `${name} is`} like this.`);
    const told = `${whole ? "All files are now as they were" : `${name} is now as it was`} on ${when}.`;
    const button = h(
      "button",
      {
        type: "button",
        class: whole ? "button small" : "button small primary",
        "data-testid": whole ? "restore-all" : "restore-file",
        // What it takes is found anew: others may have written since it was offered.
        onclick: () => this.#restore(planRestoration(this.#o.files, then, whole), told),
      },
      `Restore ${name}`,
    );
    return h("div", { class: "offer" }, button, h("span", { class: "muted" }, whole ? describe(plan) : places(plan)));
  }

  #endAsking(focus: boolean): void {
    if (this.#ask.hidden) return;
    this.#ask.hidden = true;
    if (focus) need("#history-restore").focus();
  }

  #restore(plan: Restoration, told: string): void {
    const { editor, files, connection } = this.#o;
    if (isEmpty(plan)) return;
    const shown = this.#file;
    const edited = plan.edited.map(({ id }) => id);
    editor.trackRestoring(edited);
    this.#forgetUndo();
    const { undo, forget } = restore(files, plan, connection.frameLimit - UPDATE_ROOM);
    editor.trackRestoring(edited);
    this.#dialog.close();
    // What came back has a new id.
    const back = files.list().find(({ path }) => path === plan.returned[0]?.path)?.id;
    const open = shown !== null && files.text(shown) ? shown : (back ?? edited[0]);
    if (open) editor.open(open);
    editor.focus();
    this.#forgetUndo = forget;
    const dismiss = () => {
      clearBanner("restored");
      forget();
    };
    banner("restored", "info", told, [
      {
        label: "Undo",
        run: () => {
          if (this.#o.rights.may("write")) undo();
          dismiss();
        },
      },
      { label: "Dismiss", run: dismiss },
    ]);
  }
}

function moment(time: number): string {
  // The oldest logs have no times.
  return time > 0 ? WHEN.format(time) : "an unknown day";
}

function places(plan: Restoration): string {
  if (plan.returned.length > 0) return "comes back";
  const count = plan.edited.reduce((sum, { edits }) => sum + edits.length, 0);
  return count === 1 ? "changes in 1 place" : `changes in ${count} places`;
}
