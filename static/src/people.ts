// Who is here: the stack of avatars, the list, renaming oneself, following another.
import type { Awareness } from "y-protocols/awareness";
import { caretIn, type Presence } from "./carets";
import type { Connection } from "./connection";
import { avatar, h, icon, need } from "./dom";
import type { Editor } from "./editor";
import type { FileStore } from "./filestore";
import { rememberName } from "./names";
import { toast } from "./notices";
import { type By, NAME_LIMIT, type Participant, type Role } from "./protocol";

const narrow = matchMedia("(max-width: 599px)");
const ROLE: Record<Role, string> = { host: "Host", editor: "Can edit", viewer: "Can view" };

export class People {
  readonly #button = need<HTMLButtonElement>("#participants");
  readonly #panel = need("#people");
  readonly #awareness: Awareness;
  #people: Participant[] = [];
  #followed: string | null = null;

  constructor(
    readonly connection: Connection,
    readonly editor: Editor,
    readonly files: FileStore,
    private me: By,
  ) {
    this.#awareness = connection.awareness;
    connection.on("welcome", (m) => {
      this.me = { participant: m.participant, name: m.name, color: m.color };
      this.#show(m.participants);
    });
    connection.on("participants", (m) => this.#show(m.participants));
    this.#awareness.on("change", () => {
      if (this.#panel.matches(":popover-open")) this.#drawList();
      this.#goAlong();
    });
    this.#panel.addEventListener("beforetoggle", () => this.#drawList());
    need<HTMLFormElement>("#rename").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename();
    });
    // Whoever writes, scrolls or presses Escape leads themselves again.
    const alone = () => this.#follow(null);
    editor.view.dom.addEventListener("keydown", alone);
    editor.view.dom.addEventListener("wheel", alone, { passive: true });
    editor.view.dom.addEventListener("pointerdown", alone);
    this.#show([{ ...me, role: "viewer", clients: [] }]);
  }

  isMe(participant: string): boolean {
    return participant === this.me.participant;
  }

  #rename(): void {
    const input = need<HTMLInputElement>("#my-name");
    const name = input.value.trim().slice(0, NAME_LIMIT);
    if (name === "" || name === this.me.name) return;
    if (this.connection.rename(name)) rememberName(name);
    else toast("You are offline: your name can be changed when the connection is back.", "warn");
    this.#panel.hidePopover();
  }

  #show(people: Participant[]): void {
    this.#people = people;
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
      ...(rest > 1 ? [h("span", { class: "avatar more" }, `+${rest}`)] : []),
    );
    if (this.#followed && !people.some((each) => each.participant === this.#followed)) this.#follow(null);
    this.#drawList();
  }

  #drawList(): void {
    const input = need<HTMLInputElement>("#my-name");
    if (document.activeElement !== input) input.value = this.me.name;
    need("#people-list").replaceChildren(
      ...this.#people.map((each) => {
        const me = this.isMe(each.participant);
        const file = this.#presence(each)?.file;
        const where = file ? this.files.path(file) : null;
        const following = this.#followed === each.participant;
        return h(
          "li",
          { class: "person" },
          avatar(each.name, each.color),
          h(
            "span",
            { class: "person-text" },
            h("strong", {}, each.name, me && h("span", { class: "muted" }, " (you)")),
            h("span", { class: "muted" }, [ROLE[each.role], where].filter(Boolean).join(" · ")),
          ),
          !me &&
            h(
              "button",
              {
                type: "button",
                class: "button small",
                "aria-pressed": String(following),
                onclick: () => this.#follow(following ? null : each.participant),
              },
              icon("eye"),
              following ? "Following" : "Follow",
            ),
        );
      }),
    );
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
    const text = presence?.file ? this.files.text(presence.file) : null;
    if (!presence?.file || !text) return;
    const caret = caretIn(text, presence);
    if (caret) this.editor.reveal(presence.file, { from: caret.head, to: caret.head });
  }

  #presence(person: Participant): Presence | null {
    const states = this.#awareness.getStates() as Map<number, Presence>;
    return person.clients.map((client) => states.get(client)).find((state) => state !== undefined) ?? null;
  }
}
