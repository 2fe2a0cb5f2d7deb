// What a connection tells the page.
import type { Message, ToClient } from "./protocol";

/** `quiet`: the socket is open, and the server does not answer. */
export type SaveState = "connecting" | "saved" | "saving" | "offline" | "quiet" | "failing";
/** Why the server's document is not the one this page holds a copy of. */
export type Replaced = "lineage" | "rollback";

export type ConnectionEvents = { [T in ToClient["type"]]: (message: Message<T>) => void } & {
  /** A new socket has opened: what was live on the old one is void until told again. */
  open: () => void;
  synced: () => void;
  /** The two documents are one: of the same lineage, nothing of it lost, each told what it lacked. At each socket. */
  agreed: () => void;
  save: (state: SaveState, detail: string) => void;
  /** Closed for good; the page must not reconnect. */
  ended: (sentence: string, code: number) => void;
  /** The server holds another document than this page. Nothing was merged, and the page must not reconnect. */
  replaced: (why: Replaced) => void;
  /** The server has written all of this page's own changes below this clock. */
  durable: (client: number, clock: number) => void;
  /** The server has everything on its disk that was in this document a while ago, other people's changes too. */
  confirmed: () => void;
  /** Whether the server may lack something of this page's document. */
  unsaved: (unsaved: boolean) => void;
};
