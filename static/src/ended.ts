// The final state of a page whose session is closed to it: what happened, what to do, and the text to take along.
import { h, need } from "./dom";
import type { Action } from "./notices";
import { closeTitle } from "./protocol";

/** The first action is the way on. */
export function showEnded(code: number, sentence: string, actions: Action[]): void {
  for (const dialog of document.querySelectorAll<HTMLDialogElement>("dialog[open]")) dialog.close();
  const card = need("#ended");
  const title = h("h2", { id: "ended-title", tabindex: "-1" }, closeTitle(code));
  const buttons = actions.map(({ label, run }, index) =>
    h("button", { type: "button", class: index === 0 ? "button primary" : "button", onclick: run }, label),
  );
  card.replaceChildren(
    title,
    h("p", { class: "muted" }, sentence),
    h("p", { class: "muted" }, "The text stays on this page until you close it."),
    h("div", { class: "ended-actions" }, ...buttons),
  );
  // Whoever was writing must hear of it.
  title.focus();
}
