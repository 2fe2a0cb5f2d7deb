// Cuts one Yjs update into several, each small enough for a frame: a paste of megabytes is one update of one struct.
import { toUint8Array, writeVarUint } from "lib0/encoding";
import * as Y from "yjs";

type Struct = Y.Item | Y.GC;

/** A UTF-16 unit is at most three bytes of UTF-8, and a struct's header takes at most this many. */
const BYTES_A_UNIT = 3;
const HEADER = 128;

/**
 * Applied in order, the pieces have the effect of the update, and each alone leaves nothing pending: a piece that
 * waited for a later one would count as received while it is not in the document.
 */
export function splitUpdate(update: Uint8Array, limit: number): Uint8Array[] {
  if (update.byteLength <= limit) return [update];
  const { structs, ds } = Y.decodeUpdate(update);
  const queues = new Map<number, Struct[]>();
  for (const struct of structs) {
    if (struct instanceof Y.Skip) continue;
    const queue = queues.get(struct.id.client);
    const cut = cutString(struct, Math.floor((limit - HEADER) / BYTES_A_UNIT));
    if (queue) queue.push(...cut);
    else queues.set(struct.id.client, cut);
  }
  const pieces: Uint8Array[] = [];
  let piece = new Map<number, Struct[]>();
  let size = 0;
  const close = () => {
    if (piece.size > 0) pieces.push(encode(piece));
    piece = new Map();
    size = 0;
  };
  for (const struct of inCausalOrder(queues)) {
    const bytes = sizeOf(struct);
    if (size + bytes > limit) close();
    const run = piece.get(struct.id.client);
    if (run) run.push(struct);
    else piece.set(struct.id.client, [struct]);
    size += bytes;
  }
  close();
  if (ds.clients.size > 0) pieces.push(encode(new Map(), ds.clients));
  return pieces;
}

/** What a struct needs is, if it is in this update at all, before it. */
function* inCausalOrder(queues: Map<number, Struct[]>): Generator<Struct> {
  const next = new Map([...queues.keys()].map((client) => [client, 0]));
  const isMissing = (id: Y.ID | null): boolean => {
    const queue = id && queues.get(id.client);
    if (!id || !queue) return false;
    const head = queue[next.get(id.client) ?? 0];
    return head !== undefined && id.clock >= head.id.clock;
  };
  for (let moved = true; moved; ) {
    moved = false;
    for (const [client, queue] of queues) {
      for (let at = next.get(client) ?? 0; at < queue.length; at++) {
        const struct = queue[at] as Struct;
        if (needs(struct).some((id) => id?.client !== client && isMissing(id))) break;
        next.set(client, at + 1);
        moved = true;
        yield struct;
      }
    }
  }
}

function needs(struct: Struct): (Y.ID | null)[] {
  if (!(struct instanceof Y.Item)) return [];
  const parent: unknown = struct.parent;
  return [struct.origin, struct.rightOrigin, parent instanceof Y.ID ? parent : null];
}

function cutString(struct: Struct, units: number): Struct[] {
  if (!(struct instanceof Y.Item && struct.content instanceof Y.ContentString)) return [struct];
  const text = struct.content.str;
  if (text.length <= units) return [struct];
  const { client, clock } = struct.id;
  const parts: Struct[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + units, text.length);
    // Never between the halves of a surrogate pair.
    if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1] ?? "")) end--;
    const origin = at === 0 ? struct.origin : Y.createID(client, clock + at - 1);
    const content = new Y.ContentString(text.slice(at, end));
    const { rightOrigin, parent, parentSub } = struct;
    parts.push(new Y.Item(Y.createID(client, clock + at), null, origin, null, rightOrigin, parent, parentSub, content));
    at = end;
  }
  return parts;
}

function sizeOf(struct: Struct): number {
  if (struct instanceof Y.Item && struct.content instanceof Y.ContentString) {
    return struct.content.str.length * BYTES_A_UNIT + HEADER;
  }
  const encoder = new Y.UpdateEncoderV1();
  struct.write(encoder, 0);
  return encoder.toUint8Array().byteLength + HEADER;
}

/** The format of an update, version 1: structs by client, then the deletions. */
function encode(
  runs: Map<number, Struct[]>,
  deleted = new Map<number, { clock: number; len: number }[]>(),
): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  const rest = encoder.restEncoder;
  writeVarUint(rest, runs.size);
  for (const [client, structs] of runs) {
    writeVarUint(rest, structs.length);
    encoder.writeClient(client);
    writeVarUint(rest, structs[0]?.id.clock ?? 0);
    for (const struct of structs) struct.write(encoder, 0);
  }
  writeVarUint(rest, deleted.size);
  for (const [client, ranges] of deleted) {
    writeVarUint(rest, client);
    writeVarUint(rest, ranges.length);
    for (const { clock, len } of ranges) {
      writeVarUint(rest, clock);
      writeVarUint(rest, len);
    }
  }
  return toUint8Array(rest);
}
