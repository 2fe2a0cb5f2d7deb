// One WebSocket: y-protocols in binary frames, JSON in text frames. Owns the socket and the knowledge of what is saved.
// Knows nothing of the page. Nothing of the document is taken or given before the server has named its lineage.
import { ObservableV2 } from "lib0/observable";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { ConnectionEvents, Replaced, SaveState } from "./connectionevents";
import { Durable, type Kept } from "./durable";
import * as frames from "./frames";
import { Incoming } from "./incoming";
import { Outgoing } from "./outgoing";
import { Presence } from "./presence";
import { closeSentence, isFinal, type Message, OTHER_LINEAGE, type ToClient, type ToServer, VERSION } from "./protocol";
import { Pulse } from "./pulse";
import { Retry } from "./retry";

// Room for the frame's own header below `max_frame_bytes`.
const FRAME_HEADER = 32;
// So long after the server has passed something on, it is on the server's disk, or the server has told that it fails.
const CONFIRMED_MS = 10_000;

export class Connection extends ObservableV2<ConnectionEvents> {
  /** Whether the reason of a final close is gone, so that it need not be the end. */
  recover: (code: number) => Promise<boolean> = async () => false;
  limits: Record<string, number> = {};
  #lineage: string | null;
  readonly #durable: Durable;
  #socket: WebSocket | null = null;
  readonly #retry = new Retry();
  #started = false;
  #ended = false;
  #everOpen = false;
  /** The server's lineage is ours. Until then its frames wait in `#held`. */
  #agreed = false;
  #held: Uint8Array[] = [];
  #viewer = false;
  /** Both ways: the server has answered our step 1, and we have answered the server's. */
  #received = false;
  #answered = false;
  readonly #pulse: Pulse;
  /** Local updates not yet sent on this socket. */
  readonly #outgoing: Outgoing;
  /** Something here may not be durable on the server: written here, or brought from an earlier visit. */
  #unsaved: boolean;
  /** What `unsaved` said last; null: nothing yet of what an earlier visit brought. */
  #toldUnsaved: boolean | null;
  /** Sync step 2 and update frames sent on this socket, as `saved` counts them. */
  #sent = 0;
  #failing = "";
  #saveState: SaveState = "connecting";
  readonly #presence: Presence;
  readonly #incoming: Incoming;

  constructor(
    readonly doc: Y.Doc,
    readonly url: string,
    kept: Kept = { lineage: null, durable: new Map() },
  ) {
    super();
    this.#lineage = kept.lineage;
    this.#durable = new Durable(kept.durable);
    this.#unsaved = kept.lineage !== null;
    this.#toldUnsaved = this.#unsaved ? null : false;
    this.#outgoing = new Outgoing((updates) => this.#sendUpdates(updates));
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#queueUpdate(update);
    });
    this.#incoming = new Incoming((updates) =>
      doc.transact(() => {
        for (const update of updates) Y.applyUpdate(doc, update, this);
      }, this),
    );
    this.#presence = new Presence(doc, (update) => this.#sendPresence(update));
    this.#pulse = new Pulse({
      ask: () => this.#isOpen && this.#sendBytes(frames.question()),
      backlog: () => this.#socket?.bufferedAmount ?? 0,
      quiet: () => this.#showSaveState(),
      dead: () => this.#lost(1006),
      downloading: () => this.#downloading,
    });
    setInterval(() => this.#confirm(), CONFIRMED_MS);
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#pulse.suspect());
    document.addEventListener("visibilitychange", () => !document.hidden && !this.#downloading && this.#hurry());
    addEventListener("pagehide", () => this.#outgoing.flush());
  }

  get awareness(): Awareness {
    return this.#presence.awareness;
  }

  get saveState(): SaveState {
    return this.#saveState;
  }

  /** Open, and answering. */
  get connected(): boolean {
    return this.#isOpen && !this.#pulse.quiet;
  }

  get #isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** The server's text is on its way, in one frame: nothing else is heard until it is here. */
  get #downloading(): boolean {
    return this.#agreed && !this.#received;
  }

  /** The server may lack something that is in this page's document. */
  get hasUnsaved(): boolean {
    return this.#unsaved;
  }

  /** The server has sent what this page lacked: positions mean the same on both sides. */
  get synced(): boolean {
    return this.#received;
  }

  /** Of the document in hand, once the server or the kept copy has said it. */
  get lineage(): string | null {
    return this.#lineage;
  }

  /** Also after an end, where the reason is gone. */
  connect(): void {
    this.#started = true;
    this.#ended = false;
    this.#open();
  }

  /** The server is known to be away; `connect` follows once it is back. */
  awaitServer(): void {
    this.#everOpen = true;
    this.#showSaveState();
  }

  /** False if there is no open socket. */
  rename(name: string): boolean {
    return this.send({ type: "hello", version: VERSION, name });
  }

  /** False if there is no open socket: nothing is queued, for a stale instruction helps nobody. */
  send(message: ToServer): boolean {
    if (!this.connected) return false;
    // An instruction must meet the text it was written against.
    this.#outgoing.flush();
    this.#sendBytes(JSON.stringify(message));
    return true;
  }

  /** Frames above this are refused by the server. */
  get frameLimit(): number {
    return (this.limits.max_frame_bytes ?? 1_000_000) - FRAME_HEADER;
  }

  #open(): void {
    this.#retry.cancel();
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#received = this.#answered = this.#agreed = false;
    this.#held = [];
    this.#sent = 0;
    this.#durable.begin();
    this.#pulse.begin();
    socket.onopen = () => {
      // However long it took to open: what is said now must leave.
      this.#pulse.begin();
      this.#retry.succeeded();
      this.#everOpen = true;
      this.emit("open", []);
      const lineage = this.#lineage === null ? {} : { lineage: this.#lineage };
      this.send({ type: "hello", version: VERSION, ...lineage });
      this.#presence.renew();
      this.#presence.tell();
      this.#askForState();
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      this.#pulse.heard();
      if (typeof event.data === "string") this.#readText(event.data);
      else if (this.#agreed) this.#readBinary(new Uint8Array(event.data));
      else this.#held.push(new Uint8Array(event.data));
    };
    socket.onclose = (event) => this.#lost(event.code);
  }

  #lost(code: number): void {
    if (!this.#socket) return;
    if (code === OTHER_LINEAGE) {
      this.#replaced("lineage");
      return;
    }
    this.#drop();
    if (isFinal(code)) {
      this.#ended = true;
      this.#showSaveState();
      void this.#end(code);
      return;
    }
    this.#retry.later(() => this.#open());
    this.#showSaveState();
  }

  async #end(code: number): Promise<void> {
    if (await this.recover(code)) this.connect();
    else this.emit("ended", [closeSentence(code), code]);
  }

  #drop(): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
    this.#incoming.flush();
    this.#pulse.end();
    this.#received = this.#answered = this.#agreed = false;
    this.#durable.forget();
    this.#presence.forgetOthers();
  }

  /** Nothing of the server's document gets into this one, nor the other way round. */
  #replaced(why: Replaced): void {
    this.#ended = true;
    this.#drop();
    this.#showSaveState();
    this.emit("replaced", [why]);
  }

  /** The network is back, or the page is looked at again: do not wait for the next turn. */
  #hurry(): void {
    if (this.#ended || !this.#started) return;
    if (this.#pulse.quiet) this.#drop();
    if (this.#socket) this.#pulse.check();
    else this.#open();
  }

  #readText(data: string): void {
    const message = JSON.parse(data) as ToClient;
    // Positions count in the text that was sent before them.
    if (message.type !== "run.progress" && message.type !== "run.text") this.#incoming.flush();
    if (message.type === "welcome") {
      const { lineage } = message.session;
      if (this.#lineage !== null && this.#lineage !== lineage) {
        this.#replaced("lineage");
        return;
      }
      this.#lineage = lineage;
      this.#viewer = message.role === "viewer";
      this.limits = message.limits;
    }
    if (message.type === "saved") this.#saved(message);
    if (message.type === "storage") {
      this.#failing = message.state === "failing" ? message.message : "";
      this.#showSaveState();
    }
    // The event's name and its argument come from one message, which the type system cannot see.
    (this.emit as (type: string, args: [ToClient]) => void).call(this, message.type, [message]);
    if (message.type === "welcome") this.#agree();
  }

  #agree(): void {
    this.#agreed = true;
    const held = this.#held;
    this.#held = [];
    for (const frame of held) if (this.#agreed) this.#readBinary(frame);
  }

  #readBinary(frame: Uint8Array): void {
    const read = frames.read(frame);
    if (read === null) return;
    if (read.kind === "update") {
      this.#incoming.take(read.body);
      return;
    }
    this.#incoming.flush();
    switch (read.kind) {
      case "state":
        this.#answer(read.body);
        break;
      case "difference":
        Y.applyUpdate(this.doc, read.body, this);
        if (!this.#received) {
          this.#received = true;
          this.emit("synced", []);
          if (this.#answered) this.emit("agreed", []);
          this.#showSaveState();
        }
        break;
      case "awareness":
        this.#presence.take(read.body);
        break;
      case "query":
        this.#presence.tell();
        break;
      case "denied":
        this.emit("error", [{ type: "error", code: "forbidden", message: read.reason }]);
        break;
    }
  }

  /** Sends what the server lacks: all that was written while offline, and all that was on its way. */
  #answer(stateVector: Uint8Array): void {
    if (!this.#durable.isHeldBy(Y.decodeStateVector(stateVector))) {
      this.#replaced("rollback");
      return;
    }
    this.#answered = true;
    this.#outgoing.clear();
    const difference = Y.encodeStateAsUpdate(this.doc, stateVector);
    // A viewer's answer holds known deletions at most, and is not counted.
    if (this.#viewer && difference[0] === 0) this.#setUnsaved(false);
    if (difference.byteLength <= this.frameLimit) this.#sendSync(frames.STEP2, difference);
    else for (const piece of frames.pieces(difference, this.frameLimit)) this.#sendSync(frames.UPDATE, piece);
    if (this.#received) this.emit("agreed", []);
    this.#showSaveState();
  }

  #askForState(): void {
    this.#sendSync(frames.STEP1, Y.encodeStateVector(this.doc));
  }

  #queueUpdate(update: Uint8Array): void {
    this.#setUnsaved(true);
    this.#showSaveState();
    this.#outgoing.add(update);
  }

  #sendUpdates(updates: Uint8Array[]): boolean {
    if (!this.#answered || !this.#isOpen) return false;
    for (const frame of frames.merged(updates, this.frameLimit)) this.#sendSync(frames.UPDATE, frame);
    return true;
  }

  #sendSync(step: number, body: Uint8Array): void {
    if (step !== frames.STEP1) this.#sent++;
    if (this.#isOpen) this.#sendBytes(frames.sync(step, body));
  }

  #sendBytes(data: Uint8Array<ArrayBuffer> | string): void {
    this.#socket?.send(data);
    this.#pulse.sent(data.length);
  }

  #sendPresence(update: Uint8Array): void {
    if (!this.#isOpen) return;
    // A caret may stand on a character that still waits in the queue.
    this.#outgoing.flush();
    this.#socket?.send(frames.awareness(update));
  }

  /** Counts frames, not clocks: a deletion has no clock. */
  #saved({ client, clock, updates }: Message<"saved">): void {
    if (this.#answered && this.#outgoing.isEmpty && updates >= this.#sent) this.#setUnsaved(false);
    if (client === this.doc.clientID && this.#durable.raise(client, clock)) this.emit("durable", [client, clock]);
    this.#showSaveState();
  }

  #confirm(): void {
    const held = this.#saveState === "saved" ? this.doc : null;
    if (this.#durable.confirm(held, this.#failing !== "")) this.emit("confirmed", []);
  }

  #setUnsaved(unsaved: boolean): void {
    this.#unsaved = unsaved;
    if (unsaved === this.#toldUnsaved) return;
    this.#toldUnsaved = unsaved;
    this.emit("unsaved", [unsaved]);
  }

  #showSaveState(): void {
    const online = this.#received && this.#answered && this.connected;
    let state: SaveState;
    if (this.#isOpen && this.#pulse.quiet) state = "quiet";
    else if (!online) state = this.#everOpen || this.#retry.attempts > 1 ? "offline" : "connecting";
    else if (this.#failing) state = "failing";
    else state = this.#unsaved ? "saving" : "saved";
    if (state === this.#saveState) return;
    this.#saveState = state;
    this.emit("save", [state, this.#failing]);
  }
}
