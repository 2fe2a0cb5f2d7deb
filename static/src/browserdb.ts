// This browser's database: copies of sessions' documents, and branches kept apart from them.
import type { Joined } from "./api";

/** One session's document in one lineage. Its text is in the `updates` that carry its id. */
export interface CopyRecord {
  id: string;
  session: string;
  lineage: string;
  /** Milliseconds since 1970, renewed at each visit. */
  visited: number;
  joined: Joined;
  /** State vector of what the server is known to have on its disk. */
  confirmed?: Uint8Array;
}

/** What one page of this browser, by its Yjs client id, has got through to the server. */
export interface ClientRecord {
  copy: string;
  client: number;
  /** Below it everything is durable on the server. */
  clock: number;
  unsaved: boolean;
  at: number;
}

export type Stores = "copies" | "updates" | "clients" | "branches";

const NAME = "ensemble";
const OPEN_MS = 10_000;

/** Rejects where the browser forbids storage, has no room, or does not answer. */
export function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    const timer = setTimeout(() => reject(new Error("the browser's storage does not answer")), OPEN_MS);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("copies", { keyPath: "id" }).createIndex("session", "session");
      db.createObjectStore("updates", { autoIncrement: true }).createIndex("copy", "copy");
      db.createObjectStore("clients", { keyPath: ["copy", "client"] }).createIndex("copy", "copy");
      db.createObjectStore("branches", { keyPath: "key", autoIncrement: true }).createIndex("session", "session");
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      clearTimeout(timer);
      // A newer page, in another tab, brings a newer layout: do not stand in its way.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
  });
}

/**
 * Runs `work` in one transaction; resolves with its result once that is written, and rejects if nothing was.
 * `work` may await only what `got` returns.
 */
export function inTransaction<T>(
  db: IDBDatabase,
  stores: Stores[],
  work: (store: (name: Stores) => IDBObjectStore) => Promise<T> | T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(stores, "readwrite");
    let result: T;
    let fault: unknown;
    transaction.oncomplete = () => resolve(result);
    transaction.onabort = () => reject(fault ?? transaction.error);
    Promise.resolve(work((name) => transaction.objectStore(name))).then(
      (value) => {
        result = value;
      },
      (error) => {
        fault = error;
        try {
          transaction.abort();
        } catch {
          // It has ended by itself, and told so.
        }
      },
    );
  });
}

export function got<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Deletes all records that carry this id in `index`. */
export async function deleteBy(store: IDBObjectStore, index: string, id: string): Promise<void> {
  for (const key of await got(store.index(index).getAllKeys(id))) store.delete(key);
}

/** Why this browser keeps nothing, for people: the middle of a sentence. */
export function storageProblem(fault: unknown): string {
  const name = fault instanceof Error || fault instanceof DOMException ? fault.name : "";
  if (name === "QuotaExceededError") return "its storage is full";
  if (name === "SecurityError" || name === "InvalidStateError") return "storage is switched off for this site";
  return fault instanceof Error && fault.message ? fault.message.replace(/\.$/, "") : "its storage failed";
}

/** Not all browsers have `crypto.randomUUID` on plain http. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
