// The side panels: columns that fold on a wide page, sheets on a narrow one.
import { need } from "./dom";

type Side = "files" | "timeline";

const narrow = matchMedia("(max-width: 899px)");

export class Panels {
  readonly #open: Record<Side, boolean> = { files: !narrow.matches, timeline: !narrow.matches };
  #opener: HTMLElement | null = null;

  constructor() {
    for (const side of ["files", "timeline"] as const) {
      for (const button of document.querySelectorAll<HTMLElement>(`[data-toggle="${side}"]`)) {
        button.addEventListener("click", () => {
          this.#opener = button;
          this.set(side, !this.#open[side]);
        });
      }
    }
    need("#scrim").addEventListener("click", () => this.closeSheets());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && narrow.matches && (this.#open.files || this.#open.timeline)) this.closeSheets();
    });
    narrow.addEventListener("change", () => {
      this.#open.files = this.#open.timeline = !narrow.matches;
      this.#show();
    });
    this.#show();
  }

  set(side: Side, open: boolean): void {
    // One sheet at a time.
    if (narrow.matches && open) this.#open.files = this.#open.timeline = false;
    this.#open[side] = open;
    this.#show();
    if (narrow.matches && open) need(`#${side}-panel`).focus();
  }

  closeSheets(): void {
    if (!narrow.matches) return;
    this.#open.files = this.#open.timeline = false;
    this.#show();
    this.#opener?.focus();
  }

  #show(): void {
    for (const side of ["files", "timeline"] as const) {
      const open = this.#open[side];
      const panel = need(`#${side}-panel`);
      document.body.toggleAttribute(`data-${side}`, open);
      panel.inert = !open;
      for (const button of document.querySelectorAll(`[data-toggle="${side}"]`)) {
        button.setAttribute("aria-expanded", String(open));
      }
    }
  }
}
