// How large the code is, for this browser alone: a projector, or eyes that want it larger.
import type { EditorView } from "@codemirror/view";
import { need } from "./dom";

const SIZES = [11, 12, 13, 14, 16, 18, 20, 24, 28, 32];
const KEY = "ensemble.textsize";

/** The rows of the View menu; what nobody has chosen is left to the style sheet. */
export function setUpTextSize(view: EditorView): void {
  const page = need(".session");
  const shown = need("#text-size");
  const smaller = need<HTMLButtonElement>("#text-smaller");
  const larger = need<HTMLButtonElement>("#text-larger");
  const size = () => Number.parseFloat(getComputedStyle(page).getPropertyValue("--code-size"));
  const show = () => {
    shown.textContent = `${size()} px`;
    // Not disabled, which would take the focus away from whoever presses it.
    smaller.setAttribute("aria-disabled", String(size() <= (SIZES[0] ?? 0)));
    larger.setAttribute("aria-disabled", String(size() >= (SIZES.at(-1) ?? 0)));
    view.requestMeasure();
  };
  const set = (next: number | undefined) => {
    if (next === undefined) return;
    page.style.setProperty("--code-size", `${next}px`);
    try {
      localStorage.setItem(KEY, String(next));
    } catch {
      // Storage may be forbidden; the size then lasts as long as the page.
    }
    show();
  };
  smaller.addEventListener("click", () => set(SIZES.findLast((each) => each < size())));
  larger.addEventListener("click", () => set(SIZES.find((each) => each > size())));
  need("#view-menu").addEventListener("beforetoggle", show);
  const chosen = Number(remembered());
  if (SIZES.includes(chosen)) page.style.setProperty("--code-size", `${chosen}px`);
}

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
