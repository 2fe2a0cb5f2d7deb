// The share dialog: the links this role may give away, each with a copy button and a QR code for the room.
// A host may replace each of them, asked for once more in place.
import { currentLinks, type Links, qrUrl, rotateLink } from "./api";
import { h, icon, need } from "./dom";
import { attempt } from "./hosting";
import { toast } from "./notices";
import type { Rights } from "./rights";

type Kind = "edit" | "view";
type LinkName = Kind | "host";

const TITLE: Record<LinkName, string> = { edit: "Can edit", view: "Can view", host: "Host" };
const TEXT: Record<LinkName, string> = {
  edit: "Whoever has this link can write, and ask, steer and stop the model.",
  view: "Whoever has this link can watch. Good for an audience.",
  host: "Whoever has this link can manage people, links and the session. Replace it to get one to hand on.",
};
const OUT: Record<LinkName, string> = {
  edit: "The old link stops working, and whoever came by it is out until they open the new one.",
  view: "The old link stops working, and whoever watches by it is out until they open the new one.",
  host: "The old link stops working, and other hosts who came by it are out until they open the new one. You stay.",
};

export class Share {
  readonly #dialog = need<HTMLDialogElement>("#share-dialog");
  #links: Partial<Record<LinkName, string>>;
  #asking: LinkName | null = null;
  /** How often each link has changed: its code is fetched anew then. */
  readonly #version: Record<Kind, number> = { edit: 0, view: 0 };

  constructor(
    readonly session: string,
    links: Links,
    readonly rights: Rights,
  ) {
    this.#links = { ...links };
    need("#share-button").addEventListener("click", () => {
      this.#asking = null;
      this.#draw();
      this.#dialog.showModal();
      void this.#refresh();
    });
    rights.on("change", () => {
      this.#asking = null;
      this.#draw();
    });
    // Another role shares other links.
    rights.on("role", () => void this.#refresh());
    closeOnBackdrop(this.#dialog);
    this.#draw();
  }

  /** The page was opened without the server, and has joined now. */
  learn(links: Links): void {
    this.#links = { ...links };
    this.#draw();
  }

  /** Another host may have replaced a link meanwhile. */
  async #refresh(): Promise<void> {
    try {
      const links = await currentLinks(this.session);
      for (const kind of ["edit", "view"] as const) this.#set(kind, links[kind]);
    } catch {
      // Offline: the links that are known stay, and the page says elsewhere that it is offline.
    }
  }

  #set(link: LinkName, url: string | undefined): void {
    if (this.#links[link] === url) return;
    this.#links[link] = url;
    if (link !== "host") this.#version[link]++;
    this.#draw();
  }

  #draw(): void {
    const kinds = (["edit", "view"] as const).filter((kind) => this.#links[kind] !== undefined);
    need("#share-button").hidden = kinds.length === 0;
    const rows: HTMLElement[] = kinds.map((kind) => this.#row(kind, this.#links[kind] ?? ""));
    if (this.rights.may("manage")) rows.push(this.#row("host", this.#links.host ?? null));
    const list = need("#share-links");
    // Drawn anew while somebody is in it: the focus comes back to the same control.
    const focused = list.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset.focus
      : undefined;
    list.replaceChildren(...rows, ...ownMachine());
    if (focused) list.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
  }

  #row(link: LinkName, url: string | null): HTMLElement {
    const asking = this.#asking === link;
    return h(
      "section",
      { class: "share-row", "data-link": link },
      h(
        "div",
        { class: "share-text" },
        h(
          "div",
          { class: "share-head" },
          h("h3", {}, TITLE[link]),
          this.rights.may("manage") && !asking && this.#replaceButton(link),
        ),
        h("p", { class: "muted" }, TEXT[link]),
        asking ? this.#question(link) : url !== null && this.#copyRow(link, url),
      ),
      link !== "host" && url !== null && !asking && this.#code(link, url),
    );
  }

  #replaceButton(link: LinkName): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `Replace the link: ${TITLE[link].toLowerCase()}`,
        "data-testid": `replace-${link}`,
        "data-focus": `replace-${link}`,
        onclick: () => this.#ask(link),
      },
      "Replace",
    );
  }

  #ask(link: LinkName | null): void {
    const before = this.#asking;
    this.#asking = link;
    this.#draw();
    // Not on the button that does it: a second Enter must not be enough.
    const next = link ? "[data-focus=keep-link]" : `[data-focus="replace-${before}"]`;
    need("#share-links").querySelector<HTMLElement>(next)?.focus();
  }

  #question(link: LinkName): HTMLElement {
    const replace = h(
      "button",
      { type: "button", class: "button small danger", "data-testid": "confirm-replace" },
      "Replace the link",
    );
    replace.addEventListener("click", async () => {
      replace.disabled = true;
      const done = await attempt(async () => {
        this.#links[link] = await rotateLink(this.session, link);
      });
      replace.disabled = false;
      if (!done) return;
      if (link !== "host") this.#version[link]++;
      this.#ask(null);
      toast("The link is new. Share it again with everybody who is to come back.");
    });
    const box = h(
      "div",
      { class: "ask", role: "group", "aria-label": "Replace the link?" },
      h("p", {}, OUT[link]),
      h(
        "div",
        { class: "ask-actions" },
        h(
          "button",
          { type: "button", class: "button small", "data-focus": "keep-link", onclick: () => this.#ask(null) },
          "Cancel",
        ),
        replace,
      ),
    );
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      // Not the whole dialog.
      event.preventDefault();
      this.#ask(null);
    });
    return box;
  }

  #copyRow(link: LinkName, url: string): HTMLElement {
    const field = h("input", {
      class: "field mono",
      readonly: true,
      value: url,
      "data-testid": `${link}-link`,
      "data-focus": `link-${link}`,
      "aria-label": `Link: ${TITLE[link].toLowerCase()}`,
      onfocus: () => field.select(),
    });
    const label = h("span", {}, "Copy");
    const copy = h(
      "button",
      { type: "button", class: link === "edit" ? "button primary" : "button", "data-focus": `copy-${link}` },
      icon("copy"),
      label,
    );
    copy.addEventListener("click", async () => {
      if (!(await copyText(url))) {
        field.select();
        toast("The browser did not allow copying. The link is selected: press Ctrl+C.", "warn");
        return;
      }
      label.textContent = "Copied";
      setTimeout(() => {
        label.textContent = "Copy";
      }, 1_500);
    });
    return h("div", { class: "copy-row" }, field, copy);
  }

  #code(kind: Kind, url: string): HTMLElement {
    const source = qrUrl(this.session, kind, this.#version[kind]);
    return h(
      "button",
      {
        type: "button",
        class: "qr",
        "data-testid": "qr",
        "data-focus": `qr-${kind}`,
        "aria-label": `QR code, ${TITLE[kind].toLowerCase()}: show large`,
        title: "Show large",
        onclick: () => project(source, kind, url),
      },
      h("img", { src: source, alt: "", width: "96", height: "96" }),
      icon("expand"),
    );
  }
}

/** A link to "localhost" leads everybody else to their own machine: said before somebody reads it out in a meeting. */
function ownMachine(): HTMLElement[] {
  if (!/^(localhost|127\.|\[::1\])/.test(location.hostname)) return [];
  const text =
    "These links work on this machine alone. To let others in, start Ensemble with HOST=0.0.0.0 make run, and open it under this machine’s name or address.";
  return [h("p", { class: "share-note" }, text)];
}

/** The code as large as the screen: an audience scans it from the projector. */
function project(code: string, kind: Kind, link: string): void {
  const url = new URL(link);
  const dialog = h(
    "dialog",
    { class: "projector", "aria-label": `QR code: ${TITLE[kind].toLowerCase()}` },
    h("img", { src: code, alt: `QR code of the link: ${TITLE[kind].toLowerCase()}` }),
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
