// Brings together the connection, this browser's copy and the branches that were kept apart from the shared text.
import { type Joined, joinSession } from "./api";
import { BranchDialog } from "./branchdialog";
import { type Branch, differences, filesOf, type Why } from "./branches";
import type { Connection } from "./connection";
import type { Replaced } from "./connectionevents";
import type { Copy } from "./copy";
import { need } from "./dom";
import type { FileStore } from "./filestore";
import { rememberedName } from "./names";
import { type Action, banner, clearBanner, confirmDialog } from "./notices";
import type { Rights } from "./rights";
import type { DocumentSize } from "./size";

interface Options {
  copy: Copy;
  connection: Connection;
  files: FileStore;
  size: DocumentSize;
  joined: Joined;
  rescue: Action[];
  rights: Rights;
}

const REPLACED: Record<Replaced, string> = {
  lineage: "The shared text was replaced, by a restored backup for instance.",
  rollback: "The server went back to an older state and lost changes that it had called saved.",
};

export class Offline {
  /** The copy is set aside, and the page on its way to open anew. */
  leaving = false;
  /** To come back with, where the server does not know this browser any more. */
  links: Joined["links"];
  #rejoined = false;
  readonly #o: Options;

  constructor(options: Options) {
    this.#o = options;
    const { copy, connection, joined } = options;
    connection.recover = async (code) => code === 4401 && (await this.#rejoin());
    this.links = joined.links;
    let me = joined;
    connection.on("welcome", ({ role, name, color }) => {
      me = { ...joined, role, name, color };
    });
    connection.on("agreed", () => {
      this.#rejoined = false;
      void copy.begin(connection.lineage ?? "", me);
    });
    connection.on("durable", (client, clock) => copy.durable(client, clock));
    connection.on("confirmed", () => void copy.confirm());
    connection.on("unsaved", (unsaved) => copy.noteUnsaved(unsaved));
    connection.on("replaced", (why) => void this.#replaced(why));
    connection.on("ended", (_, code) => code === 4404 && void copy.ended());
    connection.once("synced", () => void this.#showBranches());
    copy.on("retired", () => void this.#retired());
  }

  /**
   * A restored backup does not know who has joined since: comes in again by the link that this page was given.
   * Not a host, who would be less by it.
   */
  async #rejoin(): Promise<boolean> {
    const { copy, rights } = this.#o;
    const link = this.links.edit ?? this.links.view;
    if (!link || rights.role === "host" || this.#rejoined) return false;
    this.#rejoined = true;
    try {
      await joinSession(copy.session, rememberedName(), decodeURIComponent(new URL(link).hash.slice(1)));
    } catch {
      return false;
    }
    return true;
  }

  /** Opens the shared text anew. What this page has is kept as a branch, never merged by itself. */
  async startAfresh(why: Why): Promise<boolean> {
    if (this.leaving) return true;
    this.leaving = true;
    const { copy, files, rights, connection } = this.#o;
    // Who may not write has written nothing that could be lost.
    const kept = rights.may("write") || connection.hasUnsaved ? filesOf(files) : [];
    this.leaving = await copy.setAside(why, kept, need("#title").textContent ?? "");
    if (this.leaving) location.reload();
    return this.leaving;
  }

  async #replaced(why: Replaced): Promise<void> {
    if (await this.startAfresh(why)) return;
    document.body.dataset.phase = "ended";
    const text = `${REPLACED[why]} This browser cannot keep your copy, which is on this page only: download it first.`;
    const open = { label: "Open the shared text", run: () => void this.#abandon() };
    banner("replaced", "error", text, [...this.#o.rescue, open]);
  }

  async #abandon(): Promise<void> {
    const sure = await confirmDialog(
      "Open the shared text?",
      "The copy on this page is lost unless you have downloaded it.",
      "Open",
    );
    if (!sure) return;
    this.leaving = true;
    location.reload();
  }

  /** Another tab found this document replaced. This one will find out by itself; until then its text is a branch as well. */
  async #retired(): Promise<void> {
    const { copy, connection, files, joined } = this.#o;
    await copy.setAside(copy.branches.at(-1)?.why ?? "lineage", filesOf(files), need("#title").textContent ?? "");
    // Or it was not replaced for this tab: its document is the server's, and is kept on.
    if (connection.synced && connection.lineage !== null) await copy.begin(connection.lineage, joined);
  }

  async #showBranches(): Promise<void> {
    const { copy, files } = this.#o;
    for (const branch of copy.branches) {
      if (differences(branch, files).length === 0) await copy.removeBranch(branch).catch(() => undefined);
    }
    this.#offer();
    const [first] = copy.branches;
    if (first) this.#open(first);
  }

  /** One banner for as long as there are branches. */
  #offer(): void {
    clearBanner("branch");
    const [first, ...more] = this.#o.copy.branches;
    if (!first) return;
    const text =
      more.length > 0
        ? `This browser keeps ${more.length + 1} copies apart from the shared text.`
        : "This browser keeps a copy of yours apart from the shared text.";
    banner("branch", "info", text, [{ label: "Look at it", run: () => this.#open(first) }]);
  }

  #open(branch: Branch): void {
    const { copy, files, size, rights } = this.#o;
    new BranchDialog({
      branch,
      files,
      size,
      mayWrite: () => rights.may("write"),
      settled: async () => {
        // What was put back must be safe before the branch goes.
        await copy.flushed();
        await copy.removeBranch(branch).catch(() => undefined);
        this.#offer();
        const [next] = copy.branches;
        if (next) this.#open(next);
      },
    });
  }
}
