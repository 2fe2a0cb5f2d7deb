// The y-protocols frames of one connection, read and written. Pure.
import { createDecoder, readVarString, readVarUint, readVarUint8Array } from "lib0/decoding";
import { createEncoder, toUint8Array, writeVarUint, writeVarUint8Array } from "lib0/encoding";
import * as Y from "yjs";
import { splitUpdate } from "./split";

const SYNC = 0;
const AWARENESS = 1;
const AUTH = 2;
const QUERY_AWARENESS = 3;
export const STEP1 = 0;
export const STEP2 = 1;
export const UPDATE = 2;

// What is too large for one frame goes in pieces of at most this size, so that answers come in between.
const PIECE = 256_000;

export type Frame =
  | { kind: "state" | "difference" | "update" | "awareness"; body: Uint8Array }
  | { kind: "query" }
  | { kind: "denied"; reason: string };

/** Null for a frame that no y-protocols client knows. */
export function read(frame: Uint8Array): Frame | null {
  const decoder = createDecoder(frame);
  switch (readVarUint(decoder)) {
    case SYNC: {
      const step = readVarUint(decoder);
      const kind = step === STEP1 ? "state" : step === STEP2 ? "difference" : "update";
      return { kind, body: readVarUint8Array(decoder) };
    }
    case AWARENESS:
      return { kind: "awareness", body: readVarUint8Array(decoder) };
    case QUERY_AWARENESS:
      return { kind: "query" };
    case AUTH:
      readVarUint(decoder);
      return { kind: "denied", reason: readVarString(decoder) };
    default:
      return null;
  }
}

export function sync(step: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = createEncoder();
  writeVarUint(encoder, SYNC);
  writeVarUint(encoder, step);
  writeVarUint8Array(encoder, body);
  return toUint8Array(encoder);
}

export function awareness(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = createEncoder();
  writeVarUint(encoder, AWARENESS);
  writeVarUint8Array(encoder, body);
  return toUint8Array(encoder);
}

/** The shortest question that a server answers. */
export function question(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([QUERY_AWARENESS]);
}

/** One update in pieces that each go in a frame of at most `limit` bytes. */
export function pieces(update: Uint8Array, limit: number): Uint8Array[] {
  return splitUpdate(update, Math.min(PIECE, limit));
}

/** Updates in their order, in as few frames as hold them. */
export function merged(updates: Uint8Array[], limit: number): Uint8Array[] {
  const groups: Uint8Array[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const update of updates.flatMap((each) => (each.byteLength > limit ? pieces(each, limit) : [each]))) {
    if (size + update.byteLength > limit) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(update);
    size += update.byteLength;
  }
  return groups.map((group) => Y.mergeUpdates(group));
}
