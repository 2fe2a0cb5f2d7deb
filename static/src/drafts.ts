// The drafts in this room: what the model would do with the instructions that are just being typed.
import { ObservableV2 } from "lib0/observable";
import { afterSync } from "./aftersync";
import type { Connection } from "./connection";
import type { FileStore } from "./filestore";
import type { Ghost } from "./ghost";
import type { By, DraftState, Message, TextEdit } from "./protocol";
import { locate, type Sticky, stick } from "./sticky";
import { crc32 } from "./zip";

/** Edits for a region that may lie elsewhere by now; `edits` count from its beginning. */
export interface Placed {
  file: string;
  region: Sticky;
  check: number;
  edits: readonly TextEdit[];
}

export interface Draft extends Placed {
  id: string;
  by: By;
  instruction: string;
}

type Events = {
  /** Which drafts are shown, or what they say, has changed. */
  change: () => void;
  /** Somebody's draft is gone because its text was changed: worth another try. */
  lost: (participant: string) => void;
  state: (state: DraftState) => void;
};

export class Drafts extends ObservableV2<Events> {
  readonly #drafts = new Map<string, Draft>();
  readonly #files: FileStore;
  readonly #isMe: (participant: string) => boolean;
  state: DraftState = { state: "off", ms: null, bound_ms: 0 };

  constructor(connection: Connection, files: FileStore, isMe: (participant: string) => boolean) {
    super();
    this.#files = files;
    this.#isMe = isMe;
    connection.on("drafts", ({ state, ms, bound_ms }) => {
      this.state = { state, ms, bound_ms };
      this.emit("state", [this.state]);
    });
    const inText = afterSync(connection);
    connection.on("draft.shown", (message) => inText(() => this.#take(message)));
    connection.on("draft.gone", ({ participant, why }) => {
      this.drop(participant);
      if (why === "changed") this.emit("lost", [participant]);
    });
    connection.on("open", () => {
      this.#drafts.clear();
      this.emit("change", []);
    });
  }

  /** This person's own, while it fits the text. */
  mine(): Draft | null {
    for (const [participant, draft] of this.#drafts) {
      if (this.#isMe(participant) && place(this.#files, draft)) return draft;
    }
    return null;
  }

  /** What is drawn in a file. */
  ghosts(file: string): Ghost[] {
    return [...this.#drafts.values()].flatMap((draft) => {
      const mine = this.#isMe(draft.by.participant);
      const tag = mine ? "Tab" : draft.by.name;
      const ghost = draft.file === file ? ghostOf(this.#files, draft) : null;
      return ghost ? [{ ...ghost, id: draft.id, tag, color: draft.by.color, mine }] : [];
    });
  }

  drop(participant: string): void {
    if (this.#drafts.delete(participant)) this.emit("change", []);
  }

  dropMine(): void {
    for (const participant of [...this.#drafts.keys()]) if (this.#isMe(participant)) this.drop(participant);
  }

  /** Text of these has changed. */
  touched(ids: string[]): void {
    for (const [participant, draft] of this.#drafts) {
      if (ids.includes(draft.id)) this.drop(participant);
    }
  }

  #take({ id, by, file, instruction, region, check, edits }: Message<"draft.shown">): void {
    const text = this.#files.text(file);
    if (!text) return;
    const draft = { id, by, file, instruction, check, region: stick(text, region), edits: counted(edits, region.from) };
    this.#drafts.set(by.participant, draft);
    this.emit("change", []);
  }
}

/** Edits counted from the beginning of their region. */
export function counted(edits: readonly TextEdit[], begin: number): TextEdit[] {
  return edits.map(({ from, to, text }) => ({ from: from - begin, to: to - begin, text }));
}

/** Where the region lies now; null where its text is not what the edits were made for. */
export function place(files: FileStore, { file, region, check }: Placed): { from: number; to: number } | null {
  const text = files.text(file);
  const span = text && locate(text, region);
  if (!text || !span) return null;
  const held = text.toString().slice(span.from, span.to);
  return crc32(new TextEncoder().encode(held)) === check ? span : null;
}

export function ghostOf(files: FileStore, placed: Placed): Pick<Ghost, "from" | "to" | "edits"> | null {
  const span = place(files, placed);
  return span && { ...span, edits: counted(placed.edits, -span.from) };
}
