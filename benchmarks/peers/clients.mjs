// Rooms and their clients as the generator sees them: frames are made ahead, what comes in is read just far enough
// to know which updates it carries, and no client keeps a document.
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import WebSocket from "ws";
import * as Y from "yjs";

const [SYNC, AWARENESS, AUTH] = [0, 1, 2];
const [STEP1, STEP2, UPDATE] = [0, 1, 2];
const NOTHING = new Uint8Array([0, 0]);
const OPENED_AT_ONCE = 24;
const OPEN_MS = 60_000;
const LINES = 100;
// A typist goes on somewhere else after this many characters.
const STRETCH = 20;
// Frames that are remembered, as every member of a room gets the same one.
const REMEMBERED = 64;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** All rooms' first clients, who bring the text where there is none yet, then the others. */
export async function open(rooms, members) {
  const queue = rooms.map((room) => new Client(room));
  await inTurns(queue);
  await Promise.all(rooms.map((room) => room.seed()));
  await inTurns(rooms.flatMap((room) => Array.from({ length: members - 1 }, () => new Client(room))));
}

async function inTurns(clients) {
  const rest = clients[Symbol.iterator]();
  const one = async () => {
    for (const client of rest) await client.open();
  };
  await Promise.all(Array.from({ length: OPENED_AT_ONCE }, one));
}

export class Room {
  /** `given`: the server's url, and whether it speaks Hocuspocus' frames; `room`: name and token, or another Room. */
  constructor(given, { name, token }) {
    Object.assign(this, { name, token, url: given.url, hello: given.hello });
    const encoder = encoding.createEncoder();
    if (given.hocuspocus) encoding.writeVarString(encoder, name);
    this.prefix = encoding.toUint8Array(encoder);
    this.clients = [];
    this.writers = [];
    this.indexOf = new Map();
    this.contents = new Map();
    this.figures = undefined;
    this.text = undefined;
  }

  /** A frame for this room: `parts` are integers and byte arrays. */
  frame(...parts) {
    const encoder = encoding.createEncoder();
    encoding.writeUint8Array(encoder, this.prefix);
    for (const part of parts) {
      if (typeof part === "number") encoding.writeVarUint(encoder, part);
      else if (typeof part === "string") encoding.writeVarString(encoder, part);
      else encoding.writeVarUint8Array(encoder, part);
    }
    return encoding.toUint8Array(encoder);
  }

  /** Every server gets the same text; Ensemble's session has it already. */
  async seed() {
    const doc = this.doc();
    if (doc.getMap("files").size > 0) return;
    const text = new Y.Text(seedText());
    const file = new Y.Map([
      ["path", "main.py"],
      ["text", text],
    ]);
    doc.getMap("files").set("main", file);
    this.text = Y.encodeStateAsUpdate(doc);
    this.clients[0].socket.send(this.frame(SYNC, UPDATE, this.text));
  }

  doc() {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, this.text);
    return doc;
  }

  clocks() {
    return Y.parseUpdateMeta(this.text).to;
  }

  /** The updates that the first `typists` members will send, one character each, made ahead from one replica each. */
  prepare(typists, updates) {
    for (const client of this.clients.slice(0, typists)) {
      const doc = this.doc();
      const text = [...doc.getMap("files").values()][0].get("text");
      const frames = [];
      doc.on("update", (update) => frames.push(this.frame(SYNC, UPDATE, update)));
      let place = 0;
      for (let number = 0; number < updates; number++) {
        if (number % STRETCH === 0) place = (doc.clientID + number * 7919) % text.length;
        text.insert(place++, "x");
      }
      const writer = new Writer(client, doc.clientID, frames);
      this.indexOf.set(writer.id, this.writers.length);
      this.writers.push(writer);
    }
    for (const client of this.clients) client.known = new Uint32Array(this.writers.length);
  }

  /** [typist, first clock, clock after the last] of an update, for the typists of this room. */
  content(update) {
    const key = update.latin1Slice();
    let found = this.contents.get(key);
    if (!found) {
      const { from, to } = Y.parseUpdateMeta(update);
      found = [];
      for (const [client, end] of to) {
        const index = this.indexOf.get(client);
        if (index !== undefined) found.push([index, from.get(client), end]);
      }
      if (this.contents.size >= REMEMBERED) this.contents.clear();
      this.contents.set(key, found);
    }
    return found;
  }
}

class Writer {
  constructor(client, id, frames) {
    Object.assign(this, { client, id, frames });
    this.next = 0;
    this.times = new Float64Array(frames.length);
  }

  /** The next update; its clock is its number, as each is one character. */
  send() {
    const { client, next } = this;
    this.times[next] = performance.now();
    this.next = next + 1;
    client.room.figures.awaited += client.room.clients.length - 1;
    client.socket.send(this.frames[next]);
  }
}

export class Client {
  constructor(room) {
    this.room = room;
    this.known = new Uint32Array(0);
    room.clients.push(this);
  }

  /** Returns once the server has sent the document, and has been answered. */
  open() {
    const { room } = this;
    const headers = room.token ? { Authorization: `Bearer ${room.token}` } : {};
    this.socket = new WebSocket(`${room.url}/${room.name}`, { headers, perMessageDeflate: false });
    this.socket.binaryType = "nodebuffer";
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${room.name}: no document within ${OPEN_MS} ms`)), OPEN_MS);
      this.synced = () => {
        clearTimeout(timer);
        resolve();
      };
      this.socket.on("error", reject);
      this.socket.on("close", (code) => reject(new Error(`${room.name}: closed with ${code}`)));
      this.socket.on("message", (data, isBinary) => this.receive(data, isBinary));
      this.socket.on("open", () => {
        if (room.prefix.length) this.socket.send(room.frame(AUTH, 0, "anybody"));
        if (room.hello) this.socket.send('{"type":"hello","version":1}');
        this.socket.send(room.frame(SYNC, STEP1, new Uint8Array([0])));
        this.socket.send(room.frame(AWARENESS, awareness()));
      });
    });
  }

  receive(data, isBinary) {
    const now = performance.now();
    const { room, known } = this;
    const { figures } = room;
    if (figures) {
      figures.frames += 1;
      figures.bytes += data.length;
    }
    if (!isBinary) return;
    const at = room.prefix.length;
    // Hocuspocus answers a step 1 with a kind of its own for its own step 1, which is answered alike.
    if (data[at] !== SYNC && !(at && data[at] === 4)) return;
    if (data[at + 1] === STEP1) return this.socket.send(room.frame(SYNC, STEP2, NOTHING));
    const decoder = decoding.createDecoder(data);
    decoder.pos = at + 2;
    const length = decoding.readVarUint(decoder);
    const update = data.subarray(decoder.pos, decoder.pos + length);
    if (data[at + 1] === STEP2 && this.synced) {
      room.text ??= Uint8Array.from(update);
      this.synced();
      this.synced = undefined;
      return;
    }
    if (!figures) return;
    for (const [index, first, end] of room.content(update)) {
      const writer = room.writers[index];
      if (writer.client === this || end <= known[index]) continue;
      if (first > known[index]) figures.gaps += first - known[index];
      for (let clock = Math.max(first, known[index]); clock < end; clock++) figures.latency.add(now - writer.times[clock]);
      figures.awaited -= end - known[index];
      known[index] = end;
    }
  }
}

let clientIds = 1000;

/** As an editor's client tells of itself when it joins. */
function awareness() {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 1);
  encoding.writeVarUint(encoder, clientIds++);
  encoding.writeVarUint(encoder, 1);
  encoding.writeVarString(encoder, JSON.stringify({ user: { name: "Ada", color: "#30bced", colorLight: "#30bced33" } }));
  return encoding.toUint8Array(encoder);
}

function seedText() {
  return Array.from({ length: LINES }, (_, line) => `line ${line}: some text as code has it\n`).join("");
}
