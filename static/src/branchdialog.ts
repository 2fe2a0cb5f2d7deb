// The dialog over a branch: what differs, file by file, and what to do with it. Nothing is chosen for the person.
import { type Branch, type Difference, differences, putBack, type Why } from "./branches";
import { diffLines } from "./difflines";
import { downloadFiles, h, icon } from "./dom";
import type { FileStore } from "./filestore";
import { confirmDialog, toast } from "./notices";
import type { DiffLine } from "./protocol";
import type { DocumentSize } from "./size";
import type { LineOp } from "./textdiff";

interface Options {
  branch: Branch;
  files: FileStore;
  size: DocumentSize;
  mayWrite: () => boolean;
  /** Put back or discarded. */
  settled: () => void;
}

const TITLE: Record<Why, string> = {
  lineage: "The shared text was replaced",
  rollback: "The server has lost changes",
  refused: "Your copy was set aside",
};

const TEXT: Record<Why, string> = {
  lineage: "The server now holds another version of this session, from a restored backup for instance.",
  rollback: "It went back to an older state: changes that it had called saved are missing there.",
  refused: "The server did not accept changes of this page.",
};

const CONTEXT = 3;
const MOST_LINES = 1_500;
const REDRAW_MS = 400;

export class BranchDialog {
  readonly #o: Options;
  readonly #dialog: HTMLDialogElement;
  readonly #summary = h("p", { class: "muted branch-summary" });
  readonly #list = h("ul", { class: "branch-files", "aria-label": "Files that differ" });
  readonly #lines = h("div", { class: "diff branch-diff", role: "group", tabindex: "0" });
  readonly #put = h("button", {
    type: "button",
    class: "button primary",
    "data-testid": "branch-put",
    onclick: () => this.#putBack(),
  });
  #found: Difference[] = [];
  #shown: string | null = null;
  /** Files that the person has unchecked. */
  readonly #left = new Set<string>();
  #redraw: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options) {
    this.#o = options;
    const { branch, files } = options;
    const later = () => this.#dialog.close();
    this.#dialog = h(
      "dialog",
      { class: "dialog branch", "data-testid": "branch-dialog", "aria-labelledby": "branch-title" },
      h(
        "header",
        { class: "dialog-head" },
        h("h2", { id: "branch-title", tabindex: "-1", autofocus: true }, TITLE[branch.why]),
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": "Decide later", onclick: later },
          icon("close"),
        ),
      ),
      h("p", {}, `${TEXT[branch.why]} Your browser kept your copy as it was; nothing of it was merged.`),
      this.#summary,
      h("div", { class: "branch-body" }, this.#list, this.#lines),
      h(
        "p",
        { class: "branch-legend muted" },
        h("span", { class: "plus" }, "+"),
        " only in your copy",
        h("span", { class: "minus" }, "−"),
        " only in the shared text",
      ),
      this.#actions(later),
    );
    const follow = () => {
      this.#redraw ??= setTimeout(() => {
        this.#redraw = undefined;
        this.#draw();
      }, REDRAW_MS);
    };
    files.doc.on("update", follow);
    this.#dialog.addEventListener("close", () => {
      files.doc.off("update", follow);
      clearTimeout(this.#redraw);
      this.#dialog.remove();
    });
    this.#draw();
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  #actions(later: () => void): HTMLElement {
    const { branch, mayWrite } = this.#o;
    return h(
      "div",
      { class: "dialog-actions branch-actions" },
      h(
        "button",
        {
          type: "button",
          class: "button danger-text",
          "data-testid": "branch-discard",
          onclick: () => void this.#discard(),
        },
        icon("trash"),
        "Discard copy",
      ),
      h(
        "button",
        {
          type: "button",
          class: "button",
          "data-testid": "branch-download",
          onclick: () => downloadFiles(`${branch.title || "ensemble"} – copy`, branch.files),
        },
        icon("download"),
        "Download copy",
      ),
      h("span", { class: "spacer" }),
      h("button", { type: "button", class: "button later", onclick: later }, "Decide later"),
      mayWrite() && this.#put,
    );
  }

  #draw(): void {
    const { branch, files, mayWrite } = this.#o;
    this.#found = differences(branch, files);
    const made = new Date(branch.made).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const count = this.#found.length;
    this.#summary.textContent =
      count === 0
        ? `Copy of ${made}. The shared text now reads the same.`
        : `Copy of ${made}. ${count === 1 ? "One file differs" : `${count} files differ`}.${mayWrite() ? "" : " You can view this session, so the copy cannot be put back from here."}`;
    if (!this.#found.some((each) => each.file.id === this.#shown)) this.#shown = this.#found[0]?.file.id ?? null;
    const focused = document.activeElement?.closest<HTMLElement>("[data-branch-file]")?.dataset.branchFile;
    this.#list.replaceChildren(...this.#found.map((each) => this.#row(each)));
    if (focused) {
      this.#list.querySelector<HTMLElement>(`[data-branch-file="${CSS.escape(focused)}"] .branch-open`)?.focus();
    }
    this.#drawLines();
    this.#label();
  }

  #row(difference: Difference): HTMLElement {
    const { file, shared, added, removed } = difference;
    const check = h("input", {
      type: "checkbox",
      checked: !this.#left.has(file.id),
      "aria-label": `Put back ${file.path}`,
      onchange: () => {
        if (check.checked) this.#left.delete(file.id);
        else this.#left.add(file.id);
        this.#label();
      },
    });
    return h(
      "li",
      { class: "branch-file", "data-branch-file": file.id },
      this.#o.mayWrite() && this.#found.length > 1 && h("label", { class: "branch-check" }, check),
      h(
        "button",
        {
          type: "button",
          class: "branch-open",
          "aria-current": file.id === this.#shown ? "true" : null,
          onclick: () => {
            this.#shown = file.id;
            for (const row of this.#list.querySelectorAll<HTMLElement>("[data-branch-file]")) {
              const open = row.querySelector(".branch-open");
              if (row.dataset.branchFile === file.id) open?.setAttribute("aria-current", "true");
              else open?.removeAttribute("aria-current");
            }
            this.#drawLines();
          },
        },
        h("span", { class: "branch-path", title: file.path }, file.path),
        shared === null && h("span", { class: "branch-new" }, "not shared"),
        added > 0 && h("span", { class: "plus" }, `+${added}`),
        removed > 0 && h("span", { class: "minus" }, `−${removed}`),
      ),
    );
  }

  #drawLines(): void {
    const shown = this.#found.find((each) => each.file.id === this.#shown);
    this.#lines.hidden = shown === undefined;
    if (!shown) return;
    this.#lines.setAttribute("aria-label", `Changes of ${shown.file.path}`);
    const lines = withGaps(shown.lines);
    const rest = lines.length - MOST_LINES;
    this.#lines.replaceChildren(
      diffLines(lines.slice(0, MOST_LINES)),
      rest > 0
        ? h("p", { class: "muted branch-more" }, `… and ${rest} more lines. Download the copy to see them all.`)
        : "",
    );
  }

  get #chosen(): Difference[] {
    return this.#found.filter(({ file }) => !this.#left.has(file.id));
  }

  #label(): void {
    const chosen = this.#chosen.length;
    this.#put.textContent =
      this.#found.length > 1 ? `Put back ${chosen} of ${this.#found.length} files` : "Put back my text";
    this.#put.disabled = chosen === 0;
  }

  #putBack(): void {
    const { files, size } = this.#o;
    const chosen = this.#chosen;
    const bytes = chosen.reduce((sum, { lines }) => sum + insertedBytes(lines), 0);
    const refusal = size.refusal(bytes);
    if (refusal) {
      toast(`Nothing was put back. ${refusal} Choose fewer files, or download the copy.`, "warn");
      return;
    }
    putBack(chosen, files);
    // What was left out of the choice stays in the branch, to be decided on another time.
    const settled = chosen.length === this.#found.length;
    this.#dialog.close();
    toast(
      chosen.length === 1 ? "Your text is back, as an edit of yours." : "Your texts are back, as one edit of yours.",
    );
    if (settled) this.#o.settled();
  }

  async #discard(): Promise<void> {
    const text = "Its changes are lost unless you have downloaded it. The shared text stays as it is.";
    if (!(await confirmDialog("Discard your copy?", text, "Discard"))) return;
    this.#dialog.close();
    this.#o.settled();
  }
}

function insertedBytes(lines: LineOp[]): number {
  return new TextEncoder().encode(
    lines
      .filter((line) => line.op === "+")
      .map((line) => line.text)
      .join(""),
  ).length;
}

/** Changed lines with a few around them. */
function withGaps(lines: LineOp[]): DiffLine[] {
  const near = new Set<number>();
  lines.forEach((line, at) => {
    if (line.op === " ") return;
    for (let n = at - CONTEXT; n <= at + CONTEXT; n++) near.add(n);
  });
  const shown: DiffLine[] = [];
  lines.forEach((line, at) => {
    if (near.has(at))
      shown.push({ op: line.op, old: line.old, new: line.new, tokens: [["", line.text.replace(/\n$/, "")]] });
    else if (shown.at(-1)?.op !== "@") shown.push({ op: "@", old: null, new: null, tokens: [] });
  });
  return shown;
}
