// What this page's person may do, as the server last said it; the host may change it at any time.
// `editor/permissions.py` is the table that decides; this one only shows and hides.
import { ObservableV2 } from "lib0/observable";
import type { Connection } from "./connection";
import type { Role } from "./protocol";

export type Action = "write" | "instruct" | "stop" | "history" | "manage";

const ALLOWED: Record<Role, readonly Action[]> = {
  host: ["write", "instruct", "stop", "history", "manage"],
  editor: ["write", "instruct", "stop", "history"],
  viewer: [],
};

type Events = {
  /** Something that this person may do has changed. */
  change: () => void;
  role: (role: Role, before: Role) => void;
};

export class Rights extends ObservableV2<Events> {
  #viewersMayStop = false;
  #over = false;
  #role: Role;

  /** Must be the first to listen to the connection: who hears a message after it asks for the new rights. */
  constructor(connection: Connection, role: Role) {
    super();
    this.#role = role;
    connection.on("welcome", (m) => this.#take(m.role, m.session.viewers_may_stop));
    connection.on("role", (m) => this.#take(m.role, this.#viewersMayStop));
    connection.on("session", (m) => this.#take(this.#role, m.session.viewers_may_stop));
    connection.on("ended", () => {
      this.#over = true;
      this.#show();
    });
    this.#show();
  }

  get role(): Role {
    return this.#role;
  }

  get viewersMayStop(): boolean {
    return this.#viewersMayStop;
  }

  may(action: Action): boolean {
    if (this.#over) return false;
    return ALLOWED[this.#role].includes(action) || (action === "stop" && this.#viewersMayStop);
  }

  #take(role: Role, viewersMayStop: boolean): void {
    const before = this.#role;
    if (role === before && viewersMayStop === this.#viewersMayStop) return;
    this.#role = role;
    this.#viewersMayStop = viewersMayStop;
    this.#show();
    if (role !== before) this.emit("role", [role, before]);
  }

  #show(): void {
    // What needs a right is marked in the template (data-edits, data-asks, …) and hidden by the styles.
    for (const action of ["write", "instruct", "stop", "history", "manage"] as const) {
      document.body.toggleAttribute(`data-may-${action}`, this.may(action));
    }
    this.emit("change", []);
  }
}
