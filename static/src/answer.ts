// An answer on its card, as it grows. What stands of it stays the same nodes, so that a selection or the focus in it
// holds, and a long answer costs no more for each word than a short one.
import { h } from "./dom";
import { blocks, type GoTo } from "./markdown";
import type { Places } from "./places";

export class Answer {
  readonly element = h("div", { class: "card-answer", "data-testid": "answer" });
  #text = "";
  /** The sources of the element's children. */
  #shown: string[] = [];

  constructor(
    readonly places: Places,
    readonly go: GoTo,
  ) {}

  show(text: string, live: boolean): void {
    this.element.setAttribute("aria-busy", String(live));
    if (text === this.#text) return;
    this.#text = text;
    const wanted = blocks(text);
    let same = 0;
    while (same < wanted.length && wanted[same]?.source === this.#shown[same]) same++;
    while (this.element.children.length > same) this.element.lastElementChild?.remove();
    this.element.append(...wanted.slice(same).map((block) => block.node(this.places, this.go)));
    this.#shown = wanted.map((block) => block.source);
  }
}
