// The lines that others are typing to the model, above the bar.
import type { Connection } from "./connection";
import { h, need, safeColor } from "./dom";

export class TypingLines {
  readonly #list = need("#typing");

  constructor(
    connection: Connection,
    readonly isMe: (participant: string) => boolean,
  ) {
    connection.on("instruction.typed", (m) => this.#show(m.participant, m.name, m.color, m.text));
    connection.on("participants", ({ participants }) => {
      const here = new Set(participants.map((each) => each.participant));
      for (const line of this.#list.querySelectorAll<HTMLElement>("[data-participant]")) {
        if (!here.has(line.dataset.participant ?? "")) line.remove();
      }
    });
    connection.on("open", () => this.#list.replaceChildren());
  }

  /** What they typed has been given to the model. */
  clear(participant: string): void {
    this.#line(participant)?.remove();
  }

  #line(participant: string): HTMLElement | null {
    return this.#list.querySelector<HTMLElement>(`[data-participant="${CSS.escape(participant)}"]`);
  }

  #show(participant: string, name: string, color: string, text: string): void {
    if (text === "" || this.isMe(participant)) {
      this.clear(participant);
      return;
    }
    let line = this.#line(participant);
    if (!line) {
      line = h("div", { class: "typing-line", "data-testid": "typing-line", "data-participant": participant });
      this.#list.append(line);
    }
    line.style.setProperty("--who", safeColor(color));
    line.replaceChildren(h("strong", {}, `${name}:`), " ", h("span", {}, text), h("i", { class: "typing-caret" }));
  }
}
