// What a host does with one person, here or away: the role menu, and removing, asked for once more in place.
import { ApiError, changeRole, removeGuest, rotateLink } from "./api";
import { h, icon } from "./dom";
import { toast } from "./notices";
import { type By, ROLE_LABEL, ROLES, type Role } from "./protocol";
import type { Rights } from "./rights";

export interface Person extends By {
  role: Role;
}

/** Does what the server may refuse; its sentence is shown. True if it was done. */
export async function attempt(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    toast(error instanceof ApiError ? error.message : String(error), "warn");
    return false;
  }
}

export class Hosting {
  constructor(
    readonly session: string,
    readonly rights: Rights,
  ) {}

  get allowed(): boolean {
    return this.rights.may("manage");
  }

  roleMenu(person: Person, changed: () => void): HTMLElement {
    const select = h(
      "select",
      { class: "role-menu", "aria-label": `Role of ${person.name}`, "data-testid": "role-menu", "data-focus": "role" },
      ...ROLES.map((role) => h("option", { value: role, selected: role === person.role }, ROLE_LABEL[role])),
    );
    select.addEventListener("change", async () => {
      const role = select.value as Role;
      select.disabled = true;
      const done = await attempt(() => changeRole(this.session, person.participant, role));
      select.disabled = false;
      if (done) changed();
      else select.value = person.role;
    });
    return select;
  }

  removeButton(person: Person, ask: () => void): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        class: "icon-button small",
        "aria-label": `Remove ${person.name}`,
        title: "Remove",
        "data-testid": "remove-person",
        "data-focus": "remove",
        onclick: ask,
      },
      icon("person-remove"),
    );
  }

  /** In the place of the person's row. `done(true)`: they are out. */
  confirmRemoval(person: Person, done: (removed: boolean) => void): HTMLElement {
    const replace = h("input", { type: "checkbox", "data-testid": "replace-links" });
    const remove = h(
      "button",
      { type: "button", class: "button small danger", "data-testid": "confirm-remove" },
      "Remove",
    );
    const cancel = h("button", { type: "button", class: "button small", onclick: () => done(false) }, "Cancel");
    remove.addEventListener("click", async () => {
      remove.disabled = cancel.disabled = true;
      const removed = await attempt(() => this.#remove(person, replace.checked));
      remove.disabled = cancel.disabled = false;
      if (removed) done(true);
    });
    const box = h(
      "div",
      { class: "person-confirm", role: "group", "aria-label": `Remove ${person.name}?` },
      h("p", {}, h("strong", {}, `Remove ${person.name}?`), " Their connection is closed; what they wrote stays."),
      h(
        "label",
        { class: "check" },
        replace,
        h(
          "span",
          {},
          "And replace the links, so that they cannot come back with them",
          h("small", { class: "muted" }, "Everybody who came by a link is out too, until you give them the new one."),
        ),
      ),
      h("div", { class: "person-confirm-actions" }, cancel, remove),
    );
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      // Not the whole panel.
      event.preventDefault();
      event.stopPropagation();
      done(false);
    });
    // Not on Remove: a second Enter must not be enough.
    queueMicrotask(() => cancel.focus());
    return box;
  }

  async #remove(person: Person, replaceLinks: boolean): Promise<void> {
    await removeGuest(this.session, person.participant);
    if (!replaceLinks) {
      toast(`${person.name} was removed.`);
      return;
    }
    for (const link of ["view", "edit"] as const) await rotateLink(this.session, link);
    // Another host may hold the host's link as well.
    if (person.role === "host") await rotateLink(this.session, "host");
    toast(`${person.name} was removed, and the links are new. Share them again with everybody who is to come back.`);
  }
}
