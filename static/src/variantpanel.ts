// The panel of variants: side by side on a wide page, one beside the other to swipe on a narrow one.

import { avatar, h, icon, need } from "./dom";
import type { Editor } from "./editor";
import type { Ghost } from "./ghost";
import { toast } from "./notices";
import type { Rights } from "./rights";
import { keepRows, type Row } from "./rows";
import { body, stateOf } from "./variantbody";
import type { Offer, Variant, Variants } from "./variants";

interface Options {
  variants: Variants;
  editor: Editor;
  rights: Rights;
  isMe: (participant: string) => boolean;
  offline: () => void;
}

const COLOR = "#0f766e";
const KEYS = "In the line below, Tab takes the marked one; Esc, or your next word there, drops them.";
// Where there is a mouse there are keys.
const keyboard = matchMedia("(pointer: fine)");
const COUNT = ["No variants", "One variant", "Two variants", "Three variants", "Four variants"];

export class VariantPanel {
  readonly #panel = need("#variants");
  readonly #status = need("#variants-status");
  readonly #o: Options;
  #selected = 0;
  #result = false;
  #shown = "";
  #pending = false;
  #asked: HTMLElement | null = null;

  constructor(options: Options) {
    this.#o = options;
    const { variants, rights, isMe } = options;
    variants.on("change", () => this.#schedule());
    variants.on("begin", (offer) => {
      // Who was not asked goes on with what they do.
      if (!isMe(offer.by.participant) || offer.unsure) return;
      this.#asked = document.activeElement as HTMLElement | null;
      this.#draw();
      this.#panel.focus();
    });
    variants.on("gone", (offer, { outcome, by, variant, reason }) => {
      const unseen = offer.unsure && !isMe(offer.by.participant);
      if (outcome === "failed" && !unseen) toast(reason, "warn");
      else if (outcome === "taken" && !isMe(by.participant)) toast(`${by.name} took variant ${(variant ?? 0) + 1}.`);
      else if (outcome === "dropped" && isMe(offer.by.participant) && !isMe(by.participant))
        toast(`${by.name} dropped the variants.`);
    });
    rights.on("change", () => this.#schedule());
    this.#panel.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The chosen variant as it would be, in the text. */
  ghosts(file: string): Ghost[] {
    const offer = this.#o.variants.current();
    return offer?.file === file ? this.#o.variants.ghosts(offer, this.#selected, COLOR) : [];
  }

  /** Of what nobody asked for, the chosen one. Whether there was one to take. */
  takeTry(): boolean {
    const offer = this.#o.variants.mine();
    if (!offer?.unsure || !this.#takeable(offer, offer.variants.get(this.#selected))) return false;
    this.#take(this.#selected);
    return true;
  }

  /** Of what nobody asked for, the first that can be taken is the marked one, until somebody marks another. */
  #mark(offer: Offer): void {
    if (!offer.unsure || this.#takeable(offer, offer.variants.get(this.#selected))) return;
    this.#selected = numbersOf(offer).find((number) => this.#takeable(offer, offer.variants.get(number))) ?? 0;
  }

  /** Messages of one tick draw once. */
  #schedule(): void {
    if (this.#pending) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  #draw(): void {
    const offer = this.#o.variants.current();
    const had = this.#panel.contains(document.activeElement);
    const focused = had ? (document.activeElement as HTMLElement).dataset.focus : undefined;
    if (offer !== undefined && this.#shown !== offer.id) {
      this.#shown = offer.id;
      this.#selected = 0;
    }
    this.#panel.hidden = !offer;
    if (!offer) {
      this.#shown = "";
      this.#panel.replaceChildren();
      this.#status.textContent = "";
      if (had) (this.#asked ?? need("#instruction-input")).focus();
      this.#asked = null;
    } else {
      this.#mark(offer);
      keepRows(this.#panel, [this.#head(offer), this.#columns(offer)]);
      this.#showSelected();
      if (had && !this.#panel.contains(document.activeElement)) {
        (this.#panel.querySelector<HTMLElement>(`[data-focus="${focused}"]`) ?? this.#panel).focus();
      }
      this.#tell(offer);
    }
    this.#o.editor.refreshGhosts();
  }

  #tell(offer: Offer): void {
    const ended = shownOf(offer).filter((variant) => variant.state !== "streaming");
    const all = offer.variants.size === offer.count && ended.length === shownOf(offer).length;
    const ready = `${COUNT[offer.count] ?? "Variants"} are ready: press a number to take one`;
    const text = all ? (offer.unsure ? `The model is not sure. ${KEYS}` : ready) : "";
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #head(offer: Offer): Row {
    const { id, by, instruction, count, unsure } = offer;
    const may = this.#o.rights.may("instruct");
    return {
      key: "head",
      shape: JSON.stringify([id, by, instruction, count, unsure, may, numbersOf(offer)]),
      make: () => this.#makeHead(offer, may),
      fill: (head) => {
        for (const view of head.querySelectorAll<HTMLElement>("[data-view]"))
          view.setAttribute("aria-pressed", String((view.dataset.view === "result") === this.#result));
        const note = head.querySelector<HTMLElement>(".variants-note");
        if (!note) return;
        note.textContent = this.#note(offer);
        note.hidden = note.textContent === "";
      },
    };
  }

  #makeHead(offer: Offer, may: boolean): HTMLElement {
    const view = (label: string, result: boolean) =>
      h(
        "button",
        {
          type: "button",
          class: "segment",
          "data-view": result ? "result" : "changes",
          "data-focus": label,
          onclick: () => {
            this.#result = result;
            this.#draw();
          },
        },
        label,
      );
    const button = (label: string, name: string, testid: string, act: () => boolean, key = "") =>
      h(
        "button",
        {
          type: "button",
          class: "button small",
          "data-testid": testid,
          "data-focus": testid,
          "aria-label": label,
          title: label,
          onclick: () => act() || this.#o.offline(),
        },
        icon(name),
        h("span", { class: "wide-only" }, label),
        key && h("kbd", { "aria-hidden": "true" }, key),
      );
    return h(
      "header",
      { class: "variants-head" },
      avatar(offer.by.name, offer.by.color),
      h(
        "p",
        { class: "variants-title" },
        h(
          "strong",
          {},
          offer.unsure ? "Not sure. It would try this:" : (COUNT[offer.count] ?? `${offer.count} variants`),
        ),
        " ",
        h("q", {}, offer.instruction),
      ),
      this.#tabs(offer),
      h(
        "div",
        { class: "segments", role: "group", "aria-label": "Show" },
        view("Changes", false),
        view("Result", true),
      ),
      may && button("New ones", "retry", "variants-again", () => this.#o.variants.steer(offer, offer.instruction)),
      may && button("Drop", "close", "variants-drop", () => this.#o.variants.drop(offer), "Esc"),
      h("p", { class: "variants-note", "data-testid": "variants-note" }),
    );
  }

  #note(offer: Offer): string {
    const notes = [];
    if (offer.unsure) notes.push(keyboard.matches ? KEYS : "They go with your next word in the line below.");
    if (offer.position > 0) notes.push(offer.reason || `Waits, place ${offer.position}.`);
    if (offer.changed === "typed")
      notes.push("People have changed these lines since: what you take works around that.");
    if (offer.changed === "rewritten") notes.push("Another run has rewritten these lines since: make new ones.");
    const same = [...offer.variants.values()].filter((variant) => variant.state === "same");
    if (same.length > 0) {
      const names = same.map((variant) => variant.variant + 1).join(" and ");
      notes.push(
        same.length + 1 === offer.count ? "All came out the same." : `${names} came out like one of the others.`,
      );
    }
    return notes.join(" ");
  }

  /** On a narrow page, where one column is seen at a time. */
  #tabs(offer: Offer): HTMLElement | false {
    const numbers = numbersOf(offer);
    if (numbers.length < 2) return false;
    return h(
      "div",
      { class: "variant-tabs", role: "group", "aria-label": "Variants" },
      ...numbers.map((number) =>
        h(
          "button",
          {
            type: "button",
            class: "segment",
            "data-tab": String(number),
            "data-focus": `tab-${number}`,
            onclick: () => this.#select(number, true),
          },
          String(number + 1),
        ),
      ),
    );
  }

  #columns(offer: Offer): Row {
    return {
      key: "columns",
      shape: offer.id,
      make: () => {
        const columns = h("div", { class: "variant-columns" });
        columns.addEventListener("scroll", () => this.#scrolled(columns), { passive: true });
        return columns;
      },
      fill: (columns) =>
        keepRows(
          columns,
          numbersOf(offer).map((number) => this.#column(offer, number)),
        ),
    };
  }

  #column(offer: Offer, number: number): Row {
    const may = this.#o.rights.may("instruct");
    return {
      key: String(number),
      shape: String(may),
      make: () => this.#makeColumn(number, may),
      fill: (column) => this.#fillColumn(column, offer, offer.variants.get(number)),
    };
  }

  #makeColumn(number: number, may: boolean): HTMLElement {
    const name = `Variant ${number + 1}`;
    return h(
      "article",
      {
        class: "variant",
        "aria-label": name,
        "data-testid": "variant",
        "data-variant": String(number),
        onpointerenter: (event) => (event as PointerEvent).pointerType === "mouse" && this.#select(number),
        onfocusin: () => this.#select(number),
      },
      h(
        "header",
        { class: "variant-head" },
        h("strong", { class: "variant-number" }, String(number + 1)),
        h("span", { class: "figures" }),
        may &&
          h(
            "button",
            {
              type: "button",
              class: "button small primary",
              "data-testid": "variant-take",
              "data-focus": `take-${number}`,
              onclick: () => this.#take(number),
            },
            "Take",
            h("span", { class: "visually-hidden" }, ` variant ${number + 1}`),
            h("kbd", { "aria-hidden": "true" }, String(number + 1)),
          ),
      ),
      h("div", {
        class: "variant-diff diff",
        role: "group",
        "aria-label": `${name}, lines`,
        tabindex: "0",
        "data-focus": `diff-${number}`,
      }),
    );
  }

  #fillColumn(column: HTMLElement, offer: Offer, variant: Variant | undefined): void {
    column.dataset.state = variant?.state ?? "waiting";
    const figures = column.querySelector(".figures");
    if (figures) figures.textContent = variant ? stateOf(variant) : "";
    const take = column.querySelector<HTMLButtonElement>("[data-testid=variant-take]");
    if (take) take.disabled = !this.#takeable(offer, variant);
    const diff = column.querySelector<HTMLElement>(".variant-diff");
    if (diff) keepRows(diff, [body(variant, this.#result)]);
  }

  #takeable(offer: Offer, variant: Variant | undefined): boolean {
    return variant?.state === "done" && offer.changed !== "rewritten";
  }

  #select(number: number, scroll = false): void {
    const offer = this.#o.variants.current();
    if (!offer) return;
    if (scroll) {
      const column = this.#panel.querySelector<HTMLElement>(`[data-variant="${number}"]`);
      const columns = this.#panel.querySelector<HTMLElement>(".variant-columns");
      if (column && columns) columns.scrollTo({ left: column.offsetLeft - columns.offsetLeft });
    }
    if (number === this.#selected) return;
    this.#selected = number;
    this.#showSelected();
    this.#o.editor.refreshGhosts();
  }

  #showSelected(): void {
    for (const column of this.#panel.querySelectorAll<HTMLElement>("[data-variant]"))
      column.toggleAttribute("data-selected", Number(column.dataset.variant) === this.#selected);
    for (const tab of this.#panel.querySelectorAll<HTMLElement>("[data-tab]"))
      tab.setAttribute("aria-pressed", String(Number(tab.dataset.tab) === this.#selected));
  }

  /** Swiped: the column that is seen is the chosen one. */
  #scrolled(columns: HTMLElement): void {
    if (columns.scrollWidth <= columns.clientWidth) return;
    const seen = [...columns.querySelectorAll<HTMLElement>("[data-variant]")].find(
      (column) => column.offsetLeft - columns.offsetLeft + column.offsetWidth / 2 > columns.scrollLeft,
    );
    if (seen) this.#select(Number(seen.dataset.variant));
  }

  #take(number: number): void {
    const offer = this.#o.variants.current();
    if (!offer || !this.#o.rights.may("instruct") || !this.#takeable(offer, offer.variants.get(number))) return;
    if (!this.#o.variants.take(offer, number)) this.#o.offline();
  }

  #key(event: KeyboardEvent): void {
    const offer = this.#o.variants.current();
    if (!offer || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const numbers = numbersOf(offer);
    if (/^[1-9]$/.test(event.key)) {
      event.preventDefault();
      this.#take(Number(event.key) - 1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this.#o.rights.may("instruct") && !this.#o.variants.drop(offer)) this.#o.offline();
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      const step = event.key === "ArrowRight" ? 1 : -1;
      const next = numbers[numbers.indexOf(this.#selected) + step];
      if (next !== undefined) this.#select(next, true);
    } else if (event.key === "Enter" && event.target === this.#panel) {
      event.preventDefault();
      this.#take(this.#selected);
    } else if (event.key.length === 1 && event.key !== " ") {
      // Words are for the bar: they steer.
      need("#instruction-input").focus();
    }
  }
}

/** Those that are shown: of equal ones, one. */
function numbersOf(offer: Offer): number[] {
  return Array.from({ length: offer.count }, (_, number) => number).filter(
    (number) => offer.variants.get(number)?.state !== "same",
  );
}

function shownOf(offer: Offer): Variant[] {
  return [...offer.variants.values()];
}
