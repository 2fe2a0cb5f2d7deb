// Several replies to one instruction, as the server tells of them: nothing of them is in the text until one is taken.
import { ObservableV2 } from "lib0/observable";
import { afterSync } from "./aftersync";
import type { Connection } from "./connection";
import { ghostOf } from "./drafts";
import type { FileStore } from "./filestore";
import type { Ghost } from "./ghost";
import type { By, Link, Message, Region, Selection } from "./protocol";
import { type Sticky, stick } from "./sticky";

export type Variant = Omit<Message<"variants.shown">, "type" | "run">;

export interface Offer {
  id: string;
  by: By;
  file: string;
  path: string;
  instruction: string;
  chain: Link[];
  count: number;
  model: string;
  region: Sticky | null;
  lines: { first: number; last: number } | null;
  position: number;
  reason: string;
  changed: "" | "typed" | "rewritten";
  /** Nobody asked for them: a run was not sure enough to write. */
  unsure: boolean;
  variants: Map<number, Variant>;
}

type Events = {
  change: () => void;
  /** New ones are being made. */
  begin: (offer: Offer) => void;
  gone: (offer: Offer, message: Message<"variants.gone">) => void;
};

export class Variants extends ObservableV2<Events> {
  readonly #offers = new Map<string, Offer>();
  readonly #inText: (act: () => void) => void;

  constructor(
    readonly connection: Connection,
    readonly files: FileStore,
    readonly isMe: (participant: string) => boolean,
  ) {
    super();
    this.#inText = afterSync(connection);
    connection.on("variants.started", (message) => this.#started(message));
    connection.on("variants.shown", ({ type: _, run, ...variant }) => {
      const offer = this.#offers.get(run);
      if (!offer) return;
      offer.variants.set(variant.variant, variant);
      this.emit("change", []);
    });
    connection.on("variants.gone", (message) => {
      const offer = this.#offers.get(message.run);
      if (!offer) return;
      this.#offers.delete(message.run);
      this.emit("change", []);
      this.emit("gone", [offer, message]);
    });
    connection.on("open", () => {
      this.#offers.clear();
      this.emit("change", []);
    });
  }

  /** The one to look at: this person's own, else the newest that somebody asked for. */
  current(): Offer | undefined {
    return this.mine() ?? [...this.#offers.values()].filter((offer) => !offer.unsure).at(-1);
  }

  /** The one that this person's next words are for. */
  steerable(): Offer | undefined {
    const offer = this.mine();
    return offer?.unsure ? undefined : offer;
  }

  mine(): Offer | undefined {
    return [...this.#offers.values()].find((offer) => this.isMe(offer.by.participant));
  }

  get size(): number {
    return this.#offers.size;
  }

  start(instruction: string, file: string, selection: Selection, variants: number): boolean {
    return this.connection.send({ type: "run.start", instruction, file, selection, mode: "edit", variants });
  }

  take(offer: Offer, variant: number): boolean {
    return this.connection.send({ type: "run.keep", run: offer.id, variant });
  }

  drop(offer: Offer): boolean {
    return this.connection.send({ type: "run.stop", run: offer.id });
  }

  /** The same instruction again makes other ones. */
  steer(offer: Offer, instruction: string): boolean {
    return this.connection.send({ type: "run.steer", run: offer.id, instruction });
  }

  /** What one variant would do, drawn in its file; nothing where its lines are others by now. */
  ghosts(offer: Offer, number: number, color: string): Ghost[] {
    const variant = offer.variants.get(number);
    if (!variant || !offer.region || variant.edits.length === 0) return [];
    const { file, region } = offer;
    const ghost = ghostOf(this.files, { file, region, check: variant.check, edits: variant.edits });
    return ghost ? [{ ...ghost, id: `${offer.id}.${number}`, tag: String(number + 1), color, mine: true }] : [];
  }

  #started({ type: _, run: id, region, ...message }: Message<"variants.started">): void {
    const known = this.#offers.get(id);
    const lines = region && { first: region.first_line, last: region.last_line };
    const path = this.files.path(message.file) ?? "";
    const offer: Offer = { region: null, variants: new Map(), ...known, ...message, id, path, lines };
    this.#offers.set(id, offer);
    this.emit("change", []);
    if (region && !offer.region) this.#inText(() => this.#hold(id, region));
    if (!known) this.emit("begin", [offer]);
  }

  #hold(id: string, region: Region): void {
    const offer = this.#offers.get(id);
    const text = offer && this.files.text(offer.file);
    if (!offer || !text) return;
    offer.region = stick(text, region);
    this.emit("change", []);
  }
}
