// What the page tells people: toasts that pass, and banners that stay until what they tell of is over.
import { h, icon, need } from "./dom";

export type Tone = "info" | "warn" | "error";

export interface Action {
  label: string;
  run: () => void;
}

const TOAST_MS = 6_000;
const MOST_TOASTS = 4;

export function toast(text: string, tone: Tone = "info"): void {
  const region = need("#toasts");
  moveUp(region);
  for (const shown of region.querySelectorAll<HTMLElement>(".toast")) if (shown.dataset.text === text) shown.remove();
  const element = h("div", {
    class: `toast ${tone}`,
    "data-testid": "notice",
    "data-text": text,
    role: tone === "error" ? "alert" : "status",
  });
  const close = () => element.remove();
  element.append(
    h("p", {}, text),
    h("button", { type: "button", class: "icon-button small", "aria-label": "Dismiss", onclick: close }, icon("close")),
  );
  region.append(element);
  while (region.childElementCount > MOST_TOASTS) region.firstElementChild?.remove();
  // Stays while it is being read.
  const timer = setInterval(() => {
    if (element.matches(":hover, :focus-within")) return;
    clearInterval(timer);
    close();
  }, TOAST_MS);
}

/** Into the topmost dialog, above which nothing of the page can be seen, and back when that closes. */
function moveUp(region: HTMLElement): void {
  const dialog = [...document.querySelectorAll<HTMLDialogElement>("dialog:modal")].at(-1);
  const place = dialog ?? document.body;
  if (region.parentElement === place) return;
  place.append(region);
  dialog?.addEventListener("close", () => document.body.append(region), { once: true });
}

const banners = new Map<string, HTMLElement>();

/** A full-width notice under this key; the same key again replaces it. */
export function banner(key: string, tone: Tone, text: string, actions: Action[] = []): void {
  clearBanner(key);
  const element = h(
    "div",
    { class: `banner ${tone}`, "data-testid": "notice", role: tone === "info" ? "status" : "alert" },
    h("p", {}, text),
    h(
      "div",
      { class: "banner-actions" },
      ...actions.map(({ label, run }) => h("button", { type: "button", class: "button small", onclick: run }, label)),
    ),
  );
  banners.set(key, element);
  need("#banners").append(element);
}

export function clearBanner(key: string): void {
  banners.get(key)?.remove();
  banners.delete(key);
}

/** Asks before something that cannot be taken back. */
export function confirmDialog(title: string, text: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "dialog small", "aria-labelledby": "confirm-title" });
    const done = (answer: boolean) => {
      dialog.close();
      resolve(answer);
    };
    dialog.append(
      h("h2", { id: "confirm-title" }, title),
      h("p", {}, text),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { type: "button", class: "button", onclick: () => done(false) }, "Cancel"),
        h("button", { type: "button", class: "button danger", onclick: () => done(true) }, yes),
      ),
    );
    dialog.addEventListener("cancel", () => resolve(false));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}
