// The share dialog: the links this role may give away, each with a copy button and a QR code for the room.
import { qrUrl } from "./api";
import { h, icon, need } from "./dom";
import { toast } from "./notices";

type Kind = "edit" | "view";

const TITLE: Record<Kind, string> = { edit: "Can edit", view: "Can view" };
const TEXT: Record<Kind, string> = {
  edit: "Whoever has this link can write, and ask, steer and stop the model.",
  view: "Whoever has this link can watch. Good for an audience.",
};

export function setUpShare(session: string, links: { edit?: string; view?: string }): void {
  const dialog = need<HTMLDialogElement>("#share-dialog");
  const kinds = (["edit", "view"] as const).filter((kind) => links[kind] !== undefined);
  const button = need("#share-button");
  if (kinds.length === 0) {
    button.remove();
    return;
  }
  need("#share-links").replaceChildren(
    ...kinds.map((kind) => linkRow(session, kind, links[kind] ?? "")),
    ...ownMachine(),
  );
  button.addEventListener("click", () => dialog.showModal());
  closeOnBackdrop(dialog);
}

/** A link to "localhost" leads everybody else to their own machine: said before somebody reads it out in a meeting. */
function ownMachine(): HTMLElement[] {
  if (!/^(localhost|127\.|\[::1\])/.test(location.hostname)) return [];
  const text =
    "These links work on this machine alone. To let others in, start Ensemble with HOST=0.0.0.0 make run, and open it under this machine’s name or address.";
  return [h("p", { class: "share-note" }, text)];
}

function linkRow(session: string, kind: Kind, link: string): HTMLElement {
  const field = h("input", {
    class: "field mono",
    readonly: true,
    value: link,
    "data-testid": `${kind}-link`,
    "aria-label": `Link: ${TITLE[kind].toLowerCase()}`,
    onfocus: () => field.select(),
  });
  const label = h("span", {}, "Copy");
  const copy = h(
    "button",
    { type: "button", class: kind === "edit" ? "button primary" : "button" },
    icon("copy"),
    label,
  );
  copy.addEventListener("click", async () => {
    if (!(await copyText(link))) {
      field.select();
      toast("The browser did not allow copying. The link is selected: press Ctrl+C.", "warn");
      return;
    }
    label.textContent = "Copied";
    setTimeout(() => {
      label.textContent = "Copy";
    }, 1_500);
  });
  const qr = h(
    "button",
    {
      type: "button",
      class: "qr",
      "data-testid": "qr",
      "aria-label": `QR code, ${TITLE[kind].toLowerCase()}: show large`,
      title: "Show large",
    },
    h("img", { src: qrUrl(session, kind), alt: "", width: "96", height: "96" }),
    icon("expand"),
  );
  qr.addEventListener("click", () => project(session, kind, link));
  return h(
    "section",
    { class: "share-row" },
    h(
      "div",
      { class: "share-text" },
      h("h3", {}, TITLE[kind]),
      h("p", { class: "muted" }, TEXT[kind]),
      h("div", { class: "copy-row" }, field, copy),
    ),
    qr,
  );
}

/** The code as large as the screen: an audience scans it from the projector. */
function project(session: string, kind: Kind, link: string): void {
  const url = new URL(link);
  const dialog = h(
    "dialog",
    { class: "projector", "aria-label": `QR code: ${TITLE[kind].toLowerCase()}` },
    h("img", { src: qrUrl(session, kind), alt: `QR code of the link: ${TITLE[kind].toLowerCase()}` }),
    // Without the fragment: it is the key, and too long to type from a wall.
    h(
      "p",
      {},
      h("strong", {}, kind === "edit" ? "Join and edit" : "Join and watch"),
      h("span", { class: "muted" }, url.host),
    ),
    h(
      "button",
      { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => dialog.close() },
      icon("close"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target !== dialog.querySelector("button") && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http on a network address has no clipboard interface; the old command still works there.
    const area = h("textarea", { class: "visually-hidden", readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

function closeOnBackdrop(dialog: HTMLDialogElement): void {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || (event.target as Element).closest("[data-close]")) dialog.close();
  });
}
