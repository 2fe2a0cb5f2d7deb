// The list of files: open, add, rename, delete, drop; a dot for each person who is in a file.
import type { Awareness } from "y-protocols/awareness";
import { exportUrl, fileUrl, type NewFile } from "./api";
import type { Presence } from "./carets";
import { h, icon, need, safeColor } from "./dom";
import type { Editor } from "./editor";
import type { FileEntry, FileStore } from "./filestore";
import { confirmDialog, toast } from "./notices";
import type { Rights } from "./rights";

interface Options {
  session: string;
  files: FileStore;
  editor: Editor;
  awareness: Awareness;
  rights: Rights;
  /** Why a file of so many bytes cannot be added, or null. */
  refusal: (bytes: number) => string | null;
  /** Brings this panel into view. */
  show: () => void;
  chosen: () => void;
}

export class FilesPanel {
  readonly #list = need<HTMLUListElement>("#file-list");
  readonly #add = need<HTMLFormElement>("#file-add");
  readonly #o: Options;
  #editing: string | null = null;
  #drawing = false;

  constructor(options: Options) {
    this.#o = options;
    const { files, editor, awareness } = options;
    files.on("change", () => this.#draw());
    editor.on("open", () => this.#draw());
    awareness.on("change", () => this.#drawDots());
    need<HTMLAnchorElement>("#export").href = exportUrl(options.session);
    options.rights.on("change", () => {
      if (!this.#editable) this.#editing = null;
      this.#draw();
    });
    this.#listen();
    this.#draw();
  }

  get #editable(): boolean {
    return this.#o.rights.may("write");
  }

  #listen(): void {
    const input = this.#add.querySelector("input") as HTMLInputElement;
    const open = () => {
      this.#o.show();
      this.#add.hidden = false;
      input.focus();
    };
    for (const button of document.querySelectorAll<HTMLElement>("[data-add-file]"))
      button.addEventListener("click", open);
    const close = () => {
      this.#add.hidden = true;
      input.value = "";
    };
    this.#add.addEventListener("submit", (event) => {
      event.preventDefault();
      const path = input.value.trim();
      const problem = this.#o.files.problem(path) ?? this.#o.refusal(0);
      if (problem) return toast(problem, "warn");
      close();
      this.#open(this.#o.files.add(path, ""));
      this.#o.editor.focus();
    });
    input.addEventListener("keydown", (event) => event.key === "Escape" && close());
    input.addEventListener("blur", () => input.value.trim() === "" && close());
    const picker = need<HTMLInputElement>("#file-picker");
    for (const button of document.querySelectorAll("[data-upload]"))
      button.addEventListener("click", () => picker.click());
    picker.addEventListener("change", async () => {
      this.#take(await readFiles(picker.files));
      picker.value = "";
    });
    onDrop((dropped) => {
      if (this.#editable) this.#take(dropped);
      else toast("You can view this session, not edit it: the files were not added.", "warn");
    });
  }

  #take(dropped: NewFile[]): void {
    let last: string | null = null;
    for (const { path, content } of dropped) {
      const bytes = new TextEncoder().encode(content).length;
      const problem = this.#o.refusal(bytes);
      if (problem) toast(`${path} was not added. ${problem}`, "warn");
      else last = this.#o.files.add(this.#free(path), content);
    }
    if (last) this.#open(last);
  }

  /** The path itself, or with a number if there is such a file already. */
  #free(path: string): string {
    const taken = new Set(this.#o.files.list().map((entry) => entry.path));
    const dot = path.lastIndexOf(".") > path.lastIndexOf("/") + 1 ? path.lastIndexOf(".") : path.length;
    let free = path;
    for (let n = 2; taken.has(free); n++) free = `${path.slice(0, dot)}-${n}${path.slice(dot)}`;
    return free;
  }

  #open(id: string): void {
    this.#o.editor.open(id);
    this.#o.chosen();
  }

  #draw(): void {
    const files = this.#o.files.list();
    if (this.#editing !== null && !files.some((entry) => entry.id === this.#editing)) this.#editing = null;
    // A rename in progress keeps its input while others change the list.
    const editing =
      this.#editing === null ? null : this.#list.querySelector(`[data-file="${CSS.escape(this.#editing)}"]`);
    const focused = document.activeElement?.closest<HTMLElement>("[data-file]")?.dataset.file;
    this.#drawing = true;
    this.#list.replaceChildren(
      ...files.map((entry) => (entry.id === this.#editing && editing ? editing : this.#row(entry))),
    );
    if (focused !== undefined) {
      const again = this.#list.querySelector<HTMLElement>(`[data-file="${CSS.escape(focused)}"]`);
      (again?.querySelector<HTMLElement>("input") ?? again?.querySelector<HTMLElement>(".file-open"))?.focus();
    }
    this.#drawing = false;
    need("#files-empty").hidden = files.length > 0;
    document.body.toggleAttribute("data-no-file", this.#o.editor.file === null);
    const path = this.#o.files.path(this.#o.editor.file ?? "") ?? "No file";
    need("#current-file").title = path;
    need("#current-file").replaceChildren(h("bdi", {}, path));
    this.#drawDots();
  }

  #row({ id, path }: FileEntry): HTMLElement {
    const slash = path.lastIndexOf("/") + 1;
    const row = h("li", { class: "file", "data-file": id });
    row.append(
      h(
        "button",
        {
          type: "button",
          class: "file-open",
          "data-testid": "file-tab",
          "aria-current": id === this.#o.editor.file ? "true" : null,
          title: path,
          onclick: () => this.#open(id),
          ondblclick: () => this.#editable && this.#rename(row, id, path),
        },
        h(
          "span",
          { class: "file-path" },
          h("bdi", {}, slash > 0 && h("span", { class: "folder" }, path.slice(0, slash)), path.slice(slash)),
        ),
        h("span", { class: "dots" }),
      ),
      h(
        "span",
        { class: "file-actions" },
        h(
          "a",
          {
            class: "icon-button small",
            href: fileUrl(this.#o.session, path),
            download: path.slice(slash),
            "aria-label": `Download ${path}`,
            title: "Download",
          },
          icon("download"),
        ),
        ...(this.#editable
          ? [
              h(
                "button",
                {
                  type: "button",
                  class: "icon-button small",
                  "aria-label": `Rename ${path}`,
                  title: "Rename",
                  onclick: () => this.#rename(row, id, path),
                },
                icon("pencil"),
              ),
              h(
                "button",
                {
                  type: "button",
                  class: "icon-button small",
                  "aria-label": `Delete ${path}`,
                  title: "Delete",
                  onclick: () => void this.#remove(id, path),
                },
                icon("trash"),
              ),
            ]
          : []),
      ),
    );
    return row;
  }

  #rename(row: HTMLElement, id: string, path: string): void {
    const input = h("input", {
      class: "field small",
      value: path,
      "aria-label": `New name of ${path}`,
      spellcheck: "false",
      autocapitalize: "off",
    });
    this.#editing = id;
    const done = () => {
      // Drawing the list anew takes the focus away for a moment.
      if (this.#editing !== id || this.#drawing) return;
      this.#editing = null;
      this.#draw();
    };
    input.addEventListener("keydown", (event) => {
      // Safari ends a composition before the Enter that ends it.
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Escape") done();
      if (event.key !== "Enter") return;
      const next = input.value.trim();
      const problem = this.#o.files.problem(next, id);
      if (problem) return toast(problem, "warn");
      done();
      if (next !== path) this.#o.files.rename(id, next);
    });
    input.addEventListener("blur", done);
    row.replaceChildren(input);
    input.focus();
    input.setSelectionRange(path.lastIndexOf("/") + 1, path.length);
  }

  async #remove(id: string, path: string): Promise<void> {
    const sure = await confirmDialog(`Delete ${path}?`, "It is deleted for everybody in the session.", "Delete");
    if (sure) this.#o.files.remove(id);
  }

  #drawDots(): void {
    const { awareness } = this.#o;
    const dots = new Map<string, HTMLElement[]>();
    for (const [client, state] of awareness.getStates() as Map<number, Presence>) {
      if (client === awareness.clientID || typeof state.file !== "string") continue;
      const dot = h("i", { class: state.user?.model ? "dot model" : "dot", title: state.user?.name ?? "" });
      dot.style.backgroundColor = safeColor(state.user?.color);
      dots.set(state.file, [...(dots.get(state.file) ?? []), dot]);
    }
    for (const row of this.#list.querySelectorAll<HTMLElement>("[data-file]")) {
      row.querySelector(".dots")?.replaceChildren(...(dots.get(row.dataset.file ?? "") ?? []).slice(0, 5));
    }
  }
}

export function kilobytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Texts of the chosen files; what is not text is left out, and said. */
export async function readFiles(list: FileList | null): Promise<NewFile[]> {
  const texts: NewFile[] = [];
  for (const file of list ?? []) {
    try {
      const content = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      if (content.includes("\0")) throw new TypeError("binary");
      texts.push({ path: (file.webkitRelativePath || file.name).replace(/\\/g, "/"), content });
    } catch {
      toast(`${file.name} was left out: it is not UTF-8 text.`, "warn");
    }
  }
  return texts;
}

/** Files dropped anywhere on the page; shows that they may be dropped. Comes before the editor's own drop. */
export function onDrop(take: (files: NewFile[]) => void): void {
  const brings = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
  const over = (event: DragEvent) => {
    if (!brings(event)) return;
    event.preventDefault();
    event.stopPropagation();
    document.body.toggleAttribute("data-dropping", true);
  };
  addEventListener("dragenter", over, true);
  addEventListener("dragover", over, true);
  addEventListener(
    "dragleave",
    (event) => event.relatedTarget === null && document.body.removeAttribute("data-dropping"),
    true,
  );
  addEventListener(
    "drop",
    async (event) => {
      document.body.removeAttribute("data-dropping");
      if (!brings(event)) return;
      event.preventDefault();
      event.stopPropagation();
      take(await readFiles(event.dataTransfer?.files ?? null));
    },
    true,
  );
}
