// One WebSocket: y-protocols in binary frames, JSON in text frames. Owns the socket, the awareness states
// and the knowledge of what is saved. Knows nothing of the page.
import { createDecoder, readVarString, readVarUint, readVarUint8Array } from "lib0/decoding";
import { createEncoder, toUint8Array, writeVarUint, writeVarUint8Array } from "lib0/encoding";
import { ObservableV2 } from "lib0/observable";
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import * as Y from "yjs";
import { closeSentence, isFinal, type Message, type ToClient, type ToServer, VERSION } from "./protocol";

const SYNC = 0;
const AWARENESS = 1;
const AUTH = 2;
const QUERY_AWARENESS = 3;
const STEP1 = 0;
const STEP2 = 1;
const UPDATE = 2;

// What one tick brings leaves as one frame; the first keystroke after a pause leaves at once.
const TICK_MS = 16;
const AWARENESS_TICK_MS = 50;
// After this long without a frame ask for one, and after that much more give the socket up.
const QUIET_MS = 25_000;
const DEAD_MS = 40_000;
const RETRY_FIRST_MS = 300;
const RETRY_MOST_MS = 10_000;
// Room for the frame's own header below `max_frame_bytes`.
const FRAME_HEADER = 32;

export type SaveState = "connecting" | "saved" | "saving" | "offline" | "failing";

type Events = { [T in ToClient["type"]]: (message: Message<T>) => void } & {
  /** A new socket has opened: what was live on the old one is void until told again. */
  open: () => void;
  synced: () => void;
  save: (state: SaveState, detail: string) => void;
  /** Closed for good; the page must not reconnect. */
  ended: (sentence: string, code: number) => void;
  /** A change is too large to send; it stays here only. */
  oversize: (bytes: number, limit: number) => void;
};

export class Connection extends ObservableV2<Events> {
  readonly awareness: Awareness;
  limits: Record<string, number> = {};
  #socket: WebSocket | null = null;
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #everOpen = false;
  /** Both ways: the server has answered our step 1, and we have answered the server's. */
  #received = false;
  #answered = false;
  #lastFrame = 0;
  #asked = false;
  /** Local updates not yet sent on this socket. */
  #queue: Uint8Array[] = [];
  /** Local updates not yet known to be durable; what is resent piecewise if a reconnect's difference is too large. */
  #unsaved: Uint8Array[] = [];
  /** Sync step 2 and update frames sent on this socket, as `saved` counts them. */
  #sent = 0;
  #failing = "";
  #saveState: SaveState = "connecting";
  #lastFlush = 0;
  #flushing = false;
  #awarenessTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly doc: Y.Doc,
    readonly url: string,
  ) {
    super();
    this.awareness = new Awareness(doc);
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#queueUpdate(update);
    });
    this.awareness.on("update", (_: unknown, origin: unknown) => {
      if (origin === "local") this.#awarenessTimer ??= setTimeout(() => this.#sendAwareness(), AWARENESS_TICK_MS);
    });
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#hurry());
    addEventListener("pagehide", () => this.#flush());
    setInterval(() => this.#checkAlive(), 5_000);
  }

  get saveState(): SaveState {
    return this.#saveState;
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Leaving the page now would lose something. */
  get hasUnsaved(): boolean {
    return this.#unsaved.length > 0;
  }

  /** The server has sent what this page lacked: positions mean the same on both sides. */
  get synced(): boolean {
    return this.#received;
  }

  connect(): void {
    this.#open();
  }

  /** A socket anew: the two sides tell each other again what they hold. */
  reconnect(): void {
    this.#lost(1000);
    this.#hurry();
  }

  /** False if there is no open socket. */
  rename(name: string): boolean {
    return this.send({ type: "hello", version: VERSION, name });
  }

  /** False if there is no open socket: nothing is queued, for a stale instruction helps nobody. */
  send(message: ToServer): boolean {
    if (!this.connected) return false;
    // An instruction must meet the text it was written against.
    this.#flush();
    this.#socket?.send(JSON.stringify(message));
    return true;
  }

  /** Frames above this are refused by the server. */
  get frameLimit(): number {
    return (this.limits.max_frame_bytes ?? 1_000_000) - FRAME_HEADER;
  }

  #open(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#received = this.#answered = this.#asked = false;
    this.#sent = 0;
    this.#lastFrame = Date.now();
    socket.onopen = () => {
      this.#attempts = 0;
      this.#everOpen = true;
      this.emit("open", []);
      this.send({ type: "hello", version: VERSION });
      this.#renewAwareness();
      this.#sendAwareness();
      this.#askForState();
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      this.#lastFrame = Date.now();
      this.#asked = false;
      if (typeof event.data === "string") this.#readText(event.data);
      else this.#readBinary(new Uint8Array(event.data));
    };
    socket.onclose = (event) => this.#lost(event.code);
  }

  #lost(code: number): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
    this.#received = this.#answered = false;
    const others = [...this.awareness.getStates().keys()].filter((id) => id !== this.doc.clientID);
    removeAwarenessStates(this.awareness, others, this);
    // Without its clock a state is taken again at once after the reconnect, not at its next renewal 15 s later.
    for (const id of others) this.awareness.meta.delete(id);
    if (isFinal(code)) {
      this.#ended = true;
      this.#showSaveState();
      this.emit("ended", [closeSentence(code), code]);
      return;
    }
    // Half fixed, half random, so that a restarted server is not met by everybody at once.
    const wait = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#attempts++);
    this.#retry = setTimeout(() => this.#open(), wait / 2 + (Math.random() * wait) / 2);
    this.#showSaveState();
  }

  #hurry(): void {
    if (this.#retry !== undefined && !this.#ended) this.#open();
    else this.#checkAlive();
  }

  /** A laptop that slept, or a dead network, leaves a socket that looks open: ask for a frame, then give it up. */
  #checkAlive(): void {
    if (!this.#socket) return;
    const quiet = Date.now() - this.#lastFrame;
    if (quiet > DEAD_MS && (this.#asked || !this.connected)) this.#lost(1006);
    else if (quiet > QUIET_MS && !this.#asked && this.connected) {
      this.#asked = true;
      this.#askForState();
    }
  }

  #readText(data: string): void {
    const message = JSON.parse(data) as ToClient;
    if (message.type === "welcome") this.limits = message.limits;
    if (message.type === "saved") this.#saved(message.updates);
    if (message.type === "storage") {
      this.#failing = message.state === "failing" ? message.message : "";
      this.#showSaveState();
    }
    // The event's name and its argument come from one message, which the type system cannot see.
    (this.emit as (type: string, args: [ToClient]) => void).call(this, message.type, [message]);
  }

  #readBinary(frame: Uint8Array): void {
    const decoder = createDecoder(frame);
    switch (readVarUint(decoder)) {
      case SYNC: {
        const kind = readVarUint(decoder);
        const body = readVarUint8Array(decoder);
        if (kind === STEP1) this.#answer(body);
        else Y.applyUpdate(this.doc, body, this);
        if (kind === STEP2 && !this.#received) {
          this.#received = true;
          this.emit("synced", []);
          this.#showSaveState();
        }
        break;
      }
      case AWARENESS:
        applyAwarenessUpdate(this.awareness, readVarUint8Array(decoder), this);
        break;
      case QUERY_AWARENESS:
        this.#sendAwareness();
        break;
      case AUTH:
        readVarUint(decoder);
        this.emit("error", [{ type: "error", code: "forbidden", message: readVarString(decoder) }]);
        break;
    }
  }

  /** Sends what the server lacks: all that was written while offline, and all that was on its way. */
  #answer(stateVector: Uint8Array): void {
    const difference = Y.encodeStateAsUpdate(this.doc, stateVector);
    this.#answered = true;
    this.#queue = [];
    if (difference.byteLength <= this.frameLimit) {
      this.#sendSync(STEP2, difference);
    } else {
      // An update cannot be cut, but it was made in pieces: those, then the deletions, which have no clock.
      this.#queue = [...this.#unsaved, Y.encodeStateAsUpdate(this.doc, Y.encodeStateVector(this.doc))];
      this.#flush();
    }
    this.#showSaveState();
  }

  #askForState(): void {
    this.#sendSync(STEP1, Y.encodeStateVector(this.doc));
  }

  #queueUpdate(update: Uint8Array): void {
    this.#queue.push(update);
    this.#unsaved.push(update);
    this.#showSaveState();
    if (this.#flushing) return;
    this.#flushing = true;
    const wait = this.#lastFlush + TICK_MS - performance.now();
    if (wait <= 0) queueMicrotask(() => this.#flush());
    else setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    this.#flushing = false;
    if (!this.#answered || !this.connected || this.#queue.length === 0) return;
    this.#lastFlush = performance.now();
    let group: Uint8Array[] = [];
    let size = 0;
    const sendGroup = () => {
      if (group.length > 0) this.#sendSync(UPDATE, Y.mergeUpdates(group));
      group = [];
      size = 0;
    };
    for (const update of this.#queue) {
      if (update.byteLength > this.frameLimit) {
        this.emit("oversize", [update.byteLength, this.frameLimit]);
        continue;
      }
      if (size + update.byteLength > this.frameLimit) sendGroup();
      group.push(update);
      size += update.byteLength;
    }
    sendGroup();
    this.#queue = [];
  }

  #sendSync(kind: number, body: Uint8Array): void {
    const encoder = createEncoder();
    writeVarUint(encoder, SYNC);
    writeVarUint(encoder, kind);
    writeVarUint8Array(encoder, body);
    if (kind !== STEP1) this.#sent++;
    if (this.connected) this.#socket?.send(toUint8Array(encoder));
  }

  /** When the old socket closed, the server took our state away with a later clock: go beyond that one. */
  #renewAwareness(): void {
    const meta = this.awareness.meta.get(this.doc.clientID);
    if (meta) meta.clock += 2;
  }

  #sendAwareness(): void {
    clearTimeout(this.#awarenessTimer);
    this.#awarenessTimer = undefined;
    if (!this.connected || this.awareness.getLocalState() === null) return;
    // A caret may stand on a character that still waits in the queue.
    this.#flush();
    const encoder = createEncoder();
    writeVarUint(encoder, AWARENESS);
    writeVarUint8Array(encoder, encodeAwarenessUpdate(this.awareness, [this.doc.clientID]));
    this.#socket?.send(toUint8Array(encoder));
  }

  /** Counts frames, not clocks: a deletion has no clock. */
  #saved(updates: number): void {
    if (this.#queue.length === 0 && updates >= this.#sent) this.#unsaved = [];
    this.#showSaveState();
  }

  #showSaveState(): void {
    const online = this.#received && this.#answered && this.connected;
    let state: SaveState;
    if (!online) state = this.#everOpen || this.#attempts > 1 ? "offline" : "connecting";
    else if (this.#failing) state = "failing";
    else state = this.#unsaved.length > 0 ? "saving" : "saved";
    if (state === this.#saveState) return;
    this.#saveState = state;
    this.emit("save", [state, this.#failing]);
  }
}
