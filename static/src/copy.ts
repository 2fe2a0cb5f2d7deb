// The copy of a session's document that this browser keeps: what is written while the server is away survives
// a reload and a crash. Owns its records in the database; several tabs may keep the same copy.
import { ObservableV2 } from "lib0/observable";
import * as Y from "yjs";
import type { Joined } from "./api";
import { type Branch, type BranchFile, sameFiles, type Why } from "./branches";
import {
  type ClientRecord,
  type CopyRecord,
  deleteBy,
  got,
  inTransaction,
  newId,
  openDatabase,
  storageProblem,
} from "./browserdb";
import { encodeClocks, type Kept } from "./durable";

const RETRY_MS = 10_000;
const MARK_MS = 400;
const TIDY_AFTER_MS = 5_000;
const KEEP_MS = 30 * 24 * 3600 * 1000;
// So many updates are merged into one.
const MOST_UPDATES = 300;
// A rollback takes the newest first: so many pages' clocks are enough to notice one.
const MOST_CLIENTS = 50;

/** One tab asks the others what they know to be durable. */
const TELL = "tell";

class Retired extends Error {}

interface Update {
  copy: string;
  data: Uint8Array;
}

type Events = {
  /** This browser keeps no copy just now, and why; or it does again: null. */
  problem: (why: string | null) => void;
  /** Another tab has set the copy aside; again while this page's document changes without a copy. */
  retired: () => void;
};

export class Copy extends ObservableV2<Events> {
  readonly doc = new Y.Doc();
  /** Shared with the connection, which adds to it. Other tabs' clocks come in as well. */
  readonly kept: Kept = { lineage: null, durable: new Map() };
  /** Who this person was at the last visit; null without a text to open the page with. */
  joined: Joined | null = null;
  branches: Branch[] = [];
  /** Earlier pages left something here that may never have reached the server. */
  #left = false;
  #problem: string | null = null;
  #id: string | null = null;
  #retired = false;
  #retiredTimer: ReturnType<typeof setTimeout> | undefined;
  /** The branch that this page has made of its document. */
  #branch: number | null = null;
  #beginning: Promise<void> | null = null;
  #whole = false;
  #queue: Uint8Array[] = [];
  #writing: Promise<void> | null = null;
  #records = 0;
  #closed = false;
  #mark: ClientRecord | null = null;
  #markTimer: ReturnType<typeof setTimeout> | undefined;
  #channel: BroadcastChannel | null = null;

  private constructor(
    readonly session: string,
    readonly db: IDBDatabase | null,
  ) {
    super();
  }

  /** Never rejects: without storage there is no copy, and `problem` says why. */
  static async open(session: string): Promise<Copy> {
    try {
      const copy = new Copy(session, await openDatabase());
      try {
        await copy.#load();
      } catch (fault) {
        copy.#setProblem(fault);
      }
      copy.doc.on("update", (update: Uint8Array, origin: unknown) => origin !== copy && copy.#take(update));
      setTimeout(() => void copy.#tidy().catch(() => undefined), TIDY_AFTER_MS);
      return copy;
    } catch (fault) {
      const copy = new Copy(session, null);
      copy.#setProblem(fault);
      return copy;
    }
  }

  /** Something in here may never have reached the server. */
  get unsaved(): boolean {
    return this.#left || this.#mark?.unsaved === true;
  }

  /** Why this browser keeps no copy just now. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Everything in the document is written here. */
  get isWhole(): boolean {
    return this.#problem === null && this.#id !== null && this.#queue.length === 0 && this.#writing === null;
  }

  async #load(): Promise<void> {
    const db = this.db as IDBDatabase;
    const stores = ["copies", "updates", "clients", "branches"] as const;
    await inTransaction(db, [...stores], async (store) => {
      this.branches = await got(store("branches").index("session").getAll(this.session));
      for (const branch of this.branches) store("branches").put({ ...branch, visited: Date.now() });
      const records: CopyRecord[] = await got(store("copies").index("session").getAll(this.session));
      const record = records.sort((a, b) => b.visited - a.visited)[0];
      if (!record) return;
      const updates: Update[] = await got(store("updates").index("copy").getAll(record.id));
      const clients: ClientRecord[] = await got(store("clients").index("copy").getAll(record.id));
      try {
        this.doc.transact(() => {
          for (const { data } of updates) Y.applyUpdate(this.doc, data, this);
        }, this);
      } catch {
        // Damaged: what the server holds is read instead.
        await this.#delete(store, record.id);
        return;
      }
      this.#records = updates.length;
      this.#use(record);
      if (this.doc.store.clients.size === 0) return;
      this.kept.lineage = record.lineage;
      this.joined = record.joined;
      this.#left = clients.some((client) => client.unsaved);
      if (record.confirmed)
        for (const [client, clock] of Y.decodeStateVector(record.confirmed)) this.#learn(client, clock);
      for (const { client, clock } of clients) this.#learn(client, clock);
      for (const old of clients.sort((a, b) => b.at - a.at).slice(MOST_CLIENTS)) {
        store("clients").delete([old.copy, old.client]);
      }
    });
  }

  #use({ id }: CopyRecord): void {
    this.#id = id;
    this.#retired = false;
    this.#channel?.close();
    this.#channel = new BroadcastChannel(`ensemble.${id}`);
    this.#channel.onmessage = ({ data }: MessageEvent<[client: number, clock: number] | typeof TELL>) => {
      if (data !== TELL) this.#learn(...data);
      else for (const known of this.kept.durable) this.#channel?.postMessage(known);
    };
    this.#channel.postMessage(TELL);
  }

  /** The server has named its lineage, and it is this document's. */
  begin(lineage: string, joined: Joined): Promise<void> {
    this.#beginning = this.#begin(lineage, joined);
    return this.#beginning;
  }

  async #begin(lineage: string, joined: Joined): Promise<void> {
    if (!this.db || this.#closed) return;
    const visited = Date.now();
    try {
      await inTransaction(this.db, ["copies"], async (store) => {
        const copies = store("copies");
        const known: CopyRecord[] = await got(copies.index("session").getAll(this.session));
        const same = known.filter((copy) => copy.lineage === lineage);
        const record = same.find((copy) => copy.id === this.#id) ?? same[0] ?? { id: newId(), session: this.session };
        const next: CopyRecord = { ...record, lineage, joined: { ...joined, links: {} }, visited };
        copies.put(next);
        if (next.id === this.#id) return;
        this.#whole = true;
        this.#use(next);
      });
      this.#kick();
      if (this.#mark) this.#writeMark();
    } catch (fault) {
      this.#setProblem(fault);
    }
  }

  #learn(client: number, clock: number): void {
    this.kept.durable.set(client, Math.max(clock, this.kept.durable.get(client) ?? 0));
  }

  #take(update: Uint8Array): void {
    if (this.#closed) return;
    if (this.#retired) {
      clearTimeout(this.#retiredTimer);
      this.#retiredTimer = setTimeout(() => this.#retired && this.emit("retired", []), MARK_MS);
      return;
    }
    this.#queue.push(update);
    this.#kick();
  }

  #kick(): void {
    if (this.#id === null || this.#closed || this.#writing) return;
    if (this.#queue.length === 0 && !this.#whole) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = null;
    });
  }

  /** One transaction at a time; what comes meanwhile goes together into the next. */
  async #write(): Promise<void> {
    while ((this.#queue.length > 0 || this.#whole) && this.#id !== null && !this.#closed) {
      const updates = this.#queue;
      this.#queue = [];
      try {
        const data = this.#whole ? Y.encodeStateAsUpdate(this.doc) : Y.mergeUpdates(updates);
        this.#whole = false;
        await this.#append(this.#id, data);
        this.#setProblem(null);
      } catch (fault) {
        if (fault instanceof Retired) {
          this.#id = null;
          this.#retired = true;
          this.emit("retired", []);
          return;
        }
        // A hole would hide all that comes after it.
        this.#whole = true;
        this.#setProblem(fault);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #append(id: string, data: Uint8Array): Promise<void> {
    const merge = ++this.#records > MOST_UPDATES;
    await inTransaction(this.db as IDBDatabase, ["copies", "updates"], async (store) => {
      if ((await got(store("copies").getKey(id))) === undefined) throw new Retired();
      if (!merge) {
        store("updates").add({ copy: id, data });
        return;
      }
      const before: Update[] = await got(store("updates").index("copy").getAll(id));
      // With what other tabs have written, and without the text that is deleted.
      const all = new Y.Doc();
      all.transact(() => {
        for (const update of [...before, { data }]) Y.applyUpdate(all, update.data);
      });
      await deleteBy(store("updates"), "copy", id);
      store("updates").add({ copy: id, data: Y.encodeStateAsUpdate(all) });
      all.destroy();
      this.#records = 1;
    });
  }

  /** The server has written this page's changes below this clock. */
  durable(client: number, clock: number): void {
    this.#channel?.postMessage([client, clock]);
    this.#note({ clock });
  }

  /** As `durable`, of everybody's changes; seldom. */
  async confirm(): Promise<void> {
    const id = this.#id;
    if (!this.db || id === null || this.#closed) return;
    const confirmed = encodeClocks(this.kept.durable);
    try {
      await inTransaction(this.db, ["copies"], async (store) => {
        const record: CopyRecord | undefined = await got(store("copies").get(id));
        if (record) store("copies").put({ ...record, confirmed, visited: Date.now() });
      });
    } catch (fault) {
      this.#setProblem(fault);
    }
  }

  noteUnsaved(unsaved: boolean): void {
    this.#note({ unsaved });
  }

  #note(change: Partial<ClientRecord>): void {
    const client = this.doc.clientID;
    const was = this.#mark ?? { copy: "", client, clock: 0, unsaved: false, at: 0 };
    this.#mark = { ...was, ...change, at: Date.now() };
    // That something is unsaved is written at once, all else while nothing is typed: a clock too low does no harm.
    if (change.unsaved === true) this.#writeMark();
    else this.#markTimer ??= setTimeout(() => this.#writeMark(), MARK_MS);
  }

  #writeMark(): void {
    clearTimeout(this.#markTimer);
    this.#markTimer = undefined;
    if (!this.db || this.#id === null || this.#closed || !this.#mark) return;
    const mark = { ...this.#mark, copy: this.#id };
    inTransaction(this.db, ["clients"], async (store) => {
      store("clients").put(mark);
      if (mark.unsaved || !this.#left) return;
      // What earlier pages left unsaved was in this page's document, and so is saved with it.
      for (const other of (await got(store("clients").index("copy").getAll(mark.copy))) as ClientRecord[]) {
        if (other.unsaved) store("clients").put({ ...other, unsaved: false });
      }
      this.#left = false;
    }).catch((fault) => this.#setProblem(fault));
  }

  /** Keeps these files as a branch, and the copy no longer. False if the browser cannot: nothing is deleted then. */
  async setAside(why: Why, files: BranchFile[], title: string): Promise<boolean> {
    if (!this.db) return false;
    await this.#beginning;
    const id = this.#id;
    try {
      await inTransaction(this.db, ["copies", "updates", "clients", "branches"], async (store) => {
        const known: Branch[] = await got(store("branches").index("session").getAll(this.session));
        const now = Date.now();
        const others = known.filter((branch) => branch.key !== this.#branch);
        if (files.length > 0 && !others.some((branch) => sameFiles(branch.files, files))) {
          const key = others.length < known.length ? { key: this.#branch } : {};
          const branch = { ...key, session: this.session, made: now, visited: now, why, title, files };
          this.#branch = Number(await got(store("branches").put(branch)));
        }
        if (id !== null) await this.#delete(store, id);
      });
    } catch (fault) {
      this.#setProblem(fault);
      return false;
    }
    this.#id = null;
    return true;
  }

  async removeBranch(branch: Branch): Promise<void> {
    this.branches = this.branches.filter((each) => each !== branch);
    if (this.db) await inTransaction(this.db, ["branches"], (store) => void store("branches").delete(branch.key));
  }

  /** The session has ended: what the server had goes from here too; what it never had stays for its 30 days. */
  async ended(): Promise<void> {
    const id = this.#id;
    if (!this.db || id === null || this.unsaved) return;
    this.#close();
    await inTransaction(this.db, ["copies", "updates", "clients"], (store) => this.#delete(store, id));
  }

  /** Deletes the copy whatever it holds. */
  async discard(): Promise<void> {
    const id = this.#id;
    this.#close();
    if (this.db && id !== null) {
      await inTransaction(this.db, ["copies", "updates", "clients"], (store) => this.#delete(store, id));
    }
  }

  /** Waits until what the document holds now is written, as far as it can be. */
  async flushed(): Promise<void> {
    while (this.#writing && this.#problem === null) await this.#writing;
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#markTimer);
    clearTimeout(this.#retiredTimer);
    this.#channel?.close();
  }

  async #delete(store: (name: "copies" | "updates" | "clients") => IDBObjectStore, id: string): Promise<void> {
    store("copies").delete(id);
    await deleteBy(store("updates"), "copy", id);
    await deleteBy(store("clients"), "copy", id);
  }

  /** Other sessions' copies and branches go 30 days after the last visit. */
  async #tidy(): Promise<void> {
    if (!this.db || this.#closed) return;
    const oldest = Date.now() - KEEP_MS;
    await inTransaction(this.db, ["copies", "updates", "clients", "branches"], async (store) => {
      for (const copy of (await got(store("copies").getAll())) as CopyRecord[]) {
        if (copy.visited < oldest && copy.id !== this.#id) await this.#delete(store, copy.id);
      }
      for (const branch of (await got(store("branches").getAll())) as Branch[]) {
        if (branch.visited < oldest && branch.session !== this.session) store("branches").delete(branch.key);
      }
    });
  }

  #setProblem(fault: unknown): void {
    const problem = fault === null ? null : storageProblem(fault);
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.emit("problem", [problem]);
  }
}
