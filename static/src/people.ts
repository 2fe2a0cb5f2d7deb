// Who is here: the stack of avatars, the list, renaming oneself, following another. For a host also who is away.
import type { Awareness } from "y-protocols/awareness";
import { type Guest, listGuests } from "./api";
import { caretIn, type Presence } from "./carets";
import type { Connection } from "./connection";
import { avatar, h, icon, need } from "./dom";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";
import { attempt, type Hosting, type Person } from "./hosting";
import { rememberName } from "./names";
import { toast } from "./notices";
import { type By, NAME_LIMIT, type Participant, ROLE_LABEL } from "./protocol";
import type { Rights } from "./rights";
import { keepRows } from "./rows";

const narrow = matchMedia("(max-width: 599px)");

interface Options {
  connection: Connection;
  editor: Editor;
  files: FileStore;
  hosting: Hosting;
  rights: Rights;
}

export class People {
  readonly #button = need<HTMLButtonElement>("#participants");
  readonly #panel = need("#people");
  readonly #awareness: Awareness;
  readonly #o: Options;
  #people: Participant[] = [];
  #away: Guest[] = [];
  #asking = 0;
  #followed: string | null = null;
  /** Whose removal is being asked about. */
  #leaving: string | null = null;

  constructor(
    options: Options,
    private me: By,
  ) {
    this.#o = options;
    const { connection, editor, rights } = options;
    this.#awareness = connection.awareness;
    connection.on("welcome", (m) => {
      this.me = { participant: m.participant, name: m.name, color: m.color };
      this.#show(m.participants);
    });
    connection.on("participants", (m) => this.#show(m.participants));
    rights.on("change", () => {
      this.#leaving = null;
      this.#refresh();
    });
    this.#awareness.on("change", (change: { added: number[]; updated: number[]; removed: number[] }) => {
      if (this.#isOpen) this.#drawList();
      const ours = (id: number) => id === this.#awareness.clientID;
      if (![...change.added, ...change.updated, ...change.removed].every(ours)) this.#goAlong();
    });
    this.#panel.addEventListener("beforetoggle", (event) => {
      this.#leaving = null;
      this.#drawList();
      if ((event as ToggleEvent).newState === "open") void this.#askWhoIsAway();
    });
    need<HTMLFormElement>("#rename").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename();
    });
    const alone = () => this.lead();
    editor.view.dom.addEventListener("keydown", alone);
    editor.view.dom.addEventListener("wheel", alone, { passive: true });
    editor.view.dom.addEventListener("pointerdown", alone);
    this.#show([{ ...me, role: rights.role, clients: [] }]);
  }

  isMe(participant: string): boolean {
    return participant === this.me.participant;
  }

  /** Whoever writes, scrolls, presses Escape or chooses what to look at leads themselves again. */
  lead(): void {
    this.#follow(null);
  }

  get #isOpen(): boolean {
    return this.#panel.matches(":popover-open");
  }

  #rename(): void {
    const input = need<HTMLInputElement>("#my-name");
    const name = input.value.trim().slice(0, NAME_LIMIT);
    if (name === "" || name === this.me.name) return;
    if (this.#o.connection.rename(name)) rememberName(name);
    else toast("You are offline: your name can be changed when the connection is back.", "warn");
    this.#panel.hidePopover();
  }

  #show(people: Participant[]): void {
    // Oneself first; the others where they can be found.
    this.#people = people.toSorted(
      (a, b) =>
        Number(this.isMe(b.participant)) - Number(this.isMe(a.participant)) ||
        a.name.localeCompare(b.name, undefined, { numeric: true }),
    );
    const me = people.find((each) => this.isMe(each.participant));
    if (me) this.me = me;
    this.#button.dataset.count = String(people.length);
    this.#button.setAttribute("aria-label", `${people.length} ${people.length === 1 ? "person" : "people"} here`);
    const others = people.filter((each) => !this.isMe(each.participant));
    const row = [...(me ? [me] : []), ...others];
    const shown = narrow.matches ? 2 : 4;
    const rest = row.length - shown;
    this.#button.replaceChildren(
      ...row.slice(0, rest === 1 ? shown + 1 : shown).map((each) => avatar(each.name, each.color)),
      ...(rest > 1 ? [h("span", { class: "avatar more", "data-initials": `+${rest}` })] : []),
    );
    if (this.#followed && !people.some((each) => each.participant === this.#followed)) this.#follow(null);
    this.#refresh();
  }

  #refresh(): void {
    this.#drawList();
    if (this.#isOpen) void this.#askWhoIsAway();
  }

  /** Only hosts are told, and only while they look. */
  async #askWhoIsAway(): Promise<void> {
    const asking = ++this.#asking;
    let guests: Guest[] = [];
    if (this.#o.hosting.allowed) {
      const done = await attempt(async () => {
        guests = await listGuests(this.#o.hosting.session);
      });
      if (!done) return;
    }
    if (asking !== this.#asking) return;
    this.#away = guests.filter((each) => !each.here);
    this.#drawList();
  }

  #drawList(): void {
    const input = need<HTMLInputElement>("#my-name");
    if (document.activeElement !== input) input.value = this.me.name;
    keepRows(
      need("#people-list"),
      this.#people.map((each) => this.#row(each)),
    );
    const here = new Set(this.#people.map((each) => each.participant));
    const away = this.#o.hosting.allowed ? this.#away.filter((each) => !here.has(each.participant)) : [];
    need("#people-away").hidden = away.length === 0;
    need("#people-away-count").textContent = String(away.length);
    keepRows(
      need("#people-away-list"),
      away.map((each) => this.#awayRow(each)),
    );
  }

  #row(person: Participant): { key: string; shape: string; make: () => HTMLElement; fill: (row: HTMLElement) => void } {
    const me = this.isMe(person.participant);
    const following = this.#followed === person.participant;
    const managed = this.#o.hosting.allowed && !me;
    const leaving = managed && this.#leaving === person.participant;
    const file = this.#presence(person)?.file;
    const where = (file && this.#o.files.path(file)) || "";
    return {
      key: person.participant,
      shape: JSON.stringify([person.name, person.color, person.role, me, following, managed, leaving]),
      make: () =>
        leaving
          ? this.#confirm(person)
          : this.#line(
              person,
              me,
              managed ? this.#controls(person) : null,
              !me && this.#followButton(person, following),
            ),
      // Where somebody is changes all the time: never at the cost of an open menu.
      fill: (row) => {
        const place = row.querySelector(".person-where");
        if (place && place.textContent !== where) place.textContent = where;
      },
    };
  }

  #awayRow(guest: Guest): { key: string; shape: string; make: () => HTMLElement } {
    const leaving = this.#leaving === guest.participant;
    return {
      key: guest.participant,
      shape: JSON.stringify([guest.name, guest.color, guest.role, leaving]),
      make: () => (leaving ? this.#confirm(guest) : this.#line(guest, false, this.#controls(guest), false)),
    };
  }

  #line(person: Person, me: boolean, controls: HTMLElement[] | null, follow: HTMLElement | false): HTMLElement {
    const [menu, remove] = controls ?? [];
    return h(
      "li",
      { class: "person", "data-testid": "person" },
      avatar(person.name, person.color),
      h(
        "span",
        { class: "person-text" },
        h("strong", { title: person.name }, person.name, me && h("span", { class: "muted" }, " (you)")),
        h(
          "span",
          { class: "person-second" },
          menu ?? h("span", { class: "muted" }, ROLE_LABEL[person.role]),
          h("span", { class: "person-where muted" }),
        ),
      ),
      follow,
      remove ?? null,
    );
  }

  #followButton(person: Participant, following: boolean): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-pressed": String(following),
        "aria-label": `${following ? "Following" : "Follow"} ${person.name}`,
        "data-focus": "follow",
        onclick: () => this.#follow(following ? null : person.participant),
      },
      icon("eye"),
      h("span", { class: "follow-text" }, following ? "Following" : "Follow"),
    );
  }

  #controls(person: Person): HTMLElement[] {
    const { hosting } = this.#o;
    const ask = () => {
      this.#leaving = person.participant;
      this.#drawList();
    };
    return [hosting.roleMenu(person, () => this.#askWhoIsAway()), hosting.removeButton(person, ask)];
  }

  #confirm(person: Person): HTMLElement {
    const box = this.#o.hosting.confirmRemoval(person, (removed) => {
      this.#leaving = null;
      if (removed) this.#away = this.#away.filter((each) => each.participant !== person.participant);
      this.#refresh();
      const row = document.querySelector(`#people [data-key="${CSS.escape(person.participant)}"]`);
      (row?.querySelector<HTMLElement>("[data-focus=remove]") ?? this.#panel).focus();
    });
    return h("li", { class: "person leaving", "data-testid": "person" }, box);
  }

  #follow(participant: string | null): void {
    if (participant === this.#followed) return;
    this.#followed = participant;
    const person = this.#people.find((each) => each.participant === participant);
    const note = need("#following");
    note.hidden = !person;
    note.textContent = person ? `Following ${person.name}` : "";
    if (person) this.#panel.hidePopover();
    this.#goAlong();
    this.#drawList();
  }

  #goAlong(): void {
    const person = this.#people.find((each) => each.participant === this.#followed);
    const presence = person ? this.#presence(person) : null;
    const text = presence?.file ? this.#o.files.text(presence.file) : null;
    if (!presence?.file || !text) return;
    const caret = caretIn(text, presence);
    if (caret) this.#o.editor.reveal(presence.file, { from: caret.head, to: caret.head });
  }

  #presence(person: Participant): Presence | null {
    const states = this.#awareness.getStates() as Map<number, Presence>;
    return person.clients.map((client) => states.get(client)).find((state) => state !== undefined) ?? null;
  }
}
