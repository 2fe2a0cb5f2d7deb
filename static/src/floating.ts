// Where the instruction bar stands when it is at the caret.
import type { Editor } from "./editor";

const WIDTH = 480;
const GAP = 8;

export class Floating {
  constructor(
    readonly form: HTMLElement,
    readonly editor: Editor,
  ) {
    addEventListener("resize", () => this.place());
    editor.view.scrollDOM.addEventListener("scroll", () => this.place(), { passive: true });
  }

  get on(): boolean {
    return this.form.classList.contains("floating");
  }

  open(): void {
    this.form.classList.toggle("floating", matchMedia("(min-width: 720px)").matches);
  }

  dock(): void {
    this.form.classList.remove("floating");
    this.form.style.cssText = "";
  }

  place(): void {
    if (!this.on) return;
    const { view } = this.editor;
    const box = view.dom.getBoundingClientRect();
    const caret = view.coordsAtPos(view.state.selection.main.head) ?? {
      left: box.left + 48,
      top: box.top,
      bottom: box.top,
    };
    const width = Math.min(WIDTH, box.width - 32);
    const height = this.form.offsetHeight;
    const below = caret.bottom + GAP;
    const top = below + height < box.bottom ? below : caret.top - height - GAP;
    this.form.style.width = `${width}px`;
    this.form.style.left = `${Math.max(box.left + 16, Math.min(caret.left, box.right - width - 16))}px`;
    this.form.style.top = `${Math.max(box.top + GAP, Math.min(top, box.bottom - height - GAP))}px`;
    this.giveWay();
  }

  /** It must not lie over the draft that is made of what it holds. */
  giveWay(): void {
    if (!this.on) return;
    const { dom } = this.editor.view;
    const box = dom.getBoundingClientRect();
    const form = this.form.getBoundingClientRect();
    const drawn = [...dom.querySelectorAll(".ghost, .ghost-lines, .ghost-gone")].map((each) =>
      each.getBoundingClientRect(),
    );
    const top = Math.min(...drawn.map((each) => each.top));
    const bottom = Math.max(...drawn.map((each) => each.bottom));
    if (drawn.length === 0 || bottom <= form.top || top >= form.bottom) return;
    const below = bottom + GAP;
    const above = top - form.height - GAP;
    if (below + form.height < box.bottom) this.form.style.top = `${below}px`;
    else if (above > box.top) this.form.style.top = `${above}px`;
  }
}
