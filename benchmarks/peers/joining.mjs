// Stock clients come into one room, and one of them types. Prints how many frames that took, as JSON.
//   node joining.mjs WS_URL ROOM TOKEN CLIENTS yes|no     (the last: Hocuspocus' own client, or y-websocket's)
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { sleep } from "./clients.mjs";

const [url, room, token, count, hocuspocus] = process.argv.slice(2);
const KEYSTROKES = 10;
const QUIET_MS = 300;

const frames = { in: 0, out: 0 };
class Counted extends WebSocket {
  constructor(address) {
    super(address, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    this.on("message", () => {
      frames.in += 1;
    });
  }

  send(...given) {
    frames.out += 1;
    super.send(...given);
  }
}

function connect(document) {
  if (hocuspocus !== "yes") {
    return new WebsocketProvider(url, room, document, { WebSocketPolyfill: Counted, disableBc: true });
  }
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: Counted });
  const provider = new HocuspocusProvider({ websocketProvider, name: room, document, token: "anybody" });
  provider.attach();
  return provider;
}

/** Until nothing has come or gone for a while. */
async function quiet() {
  for (let seen = -1; seen !== frames.in + frames.out; ) {
    seen = frames.in + frames.out;
    await sleep(QUIET_MS);
  }
}

const clients = Array.from({ length: Number(count) }, (_, index) => {
  const doc = new Y.Doc();
  const provider = connect(doc);
  provider.awareness.setLocalStateField("user", { name: `client ${index}`, color: "#30bced" });
  return { doc, provider };
});
while (!clients.every(({ provider }) => provider.awareness.getStates().size === clients.length)) await sleep(10);
await quiet();
const joined = { ...frames };

const [typist, ...others] = clients;
typist.doc.getMap("typed").set("text", new Y.Text());
await quiet();
const before = { ...frames };
const text = typist.doc.getMap("typed").get("text");
for (let number = 0; number < KEYSTROKES; number++) {
  // A character and the caret behind it, as editors send them.
  text.insert(number, "x");
  const place = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, number + 1));
  typist.provider.awareness.setLocalStateField("cursor", { anchor: place, head: place });
  await sleep(100);
}
await quiet();
const missing = others.filter(({ doc }) => doc.getMap("typed").get("text")?.length !== KEYSTROKES).length;
const each = (value) => value / KEYSTROKES;
console.log(
  JSON.stringify({ join: joined, keystroke: { in: each(frames.in - before.in), out: each(frames.out - before.out) }, missing }),
);
process.exit(0);
