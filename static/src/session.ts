// The session page: joins, then wires the parts to each other.

import type * as Y from "yjs";
import { Aim } from "./aim";
import { ApiError, type Joined, joinSession } from "./api";
import { AskMode } from "./askmode";
import { Authors } from "./authors";
import { filesOf } from "./branches";
import { Connection } from "./connection";
import { Copy } from "./copy";
import { downloadFiles, h, mod, need } from "./dom";
import { Drafts } from "./drafts";
import { Editor } from "./editor";
import { showEnded } from "./ended";
import { FilesPanel } from "./files";
import { FileStore } from "./filestore";
import { HistoryView } from "./historyview";
import { Hosting } from "./hosting";
import { InstructionBar, showShortcuts } from "./instruction";
import { offerKept } from "./keptcopy";
import { setUpModels } from "./models";
import { rememberedName, rememberName } from "./names";
import { type Action, banner, clearBanner, toast } from "./notices";
import { Offline } from "./offline";
import { Panels } from "./panels";
import { People } from "./people";
import { roleSentence } from "./protocol";
import { Rights } from "./rights";
import { Runs } from "./runs";
import { showSaveState } from "./savestate";
import { setUpSettings } from "./settings";
import { copyText, Share } from "./share";
import { DocumentSize } from "./size";
import { Strip } from "./strip";
import { setUpTextSize } from "./textsize";
import { Timeline } from "./timeline";
import { VariantPanel } from "./variantpanel";
import { Variants } from "./variants";
import { ModelWatch } from "./watch";

declare global {
  interface Window {
    /** For tests and the console. */
    ensemble?: { doc: Y.Doc; connection: Connection; view: Editor["view"] };
  }
}

// Closed for good, but the browser's cookie still opens the session.
const REJOINABLE = [4400, 4409, 4413, 4429, 4430];
// Of these, closed because of what this page holds.
const REFUSED = [4400, 4413];

// So long the server may take to answer before the page opens from this browser's copy.
const PATIENCE_MS = 5_000;

const session = document.body.dataset.session ?? "";

/** The token is the key to the session: it leaves the address bar before anything else happens. */
function takeToken(): string | null {
  const raw = location.hash.slice(1);
  let token = raw;
  try {
    token = decodeURIComponent(raw);
  } catch {
    // No link of ours; the server says so.
  }
  if (token === "") return null;
  history.replaceState(history.state, "", location.pathname);
  return token;
}

/** `fallback` is the answer if the server cannot be reached: somebody whose text this browser keeps. */
async function join(token: string | null, fallback: Joined | null): Promise<Joined | null> {
  for (let attempt = 0; ; attempt++) {
    try {
      const signal = fallback ? AbortSignal.timeout(PATIENCE_MS) : undefined;
      return await joinSession(session, rememberedName(), token, signal);
    } catch (error) {
      const refused = error instanceof ApiError ? error : new ApiError(0, "internal", String(error));
      if (refused.status !== 0 && refused.status < 500) {
        showRefusal(refused);
        return null;
      }
      if (fallback) return fallback;
      if (document.body.dataset.phase !== "ready") banner("join", "warn", `${refused.message} Trying again…`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(8_000, 500 * 2 ** attempt)));
    }
  }
}

function showRefusal({ status, message }: ApiError): void {
  document.body.dataset.phase = "refused";
  clearBanner("join");
  const title: Record<number, string> = {
    401: "This link does not open the session",
    403: "You were removed from this session",
    404: "There is no such session",
    410: "This session has ended",
    429: "The session is full",
  };
  need("#refused").replaceChildren(
    h("h2", {}, title[status] ?? "The session could not be joined"),
    h("p", { class: "muted" }, message),
    h("a", { class: "button primary", href: "/" }, "Start a new session"),
    offerKept(copy, status === 404 || status === 410) ?? "",
  );
}

/** `away`: from this browser's copy, the server could not be reached. */
function start(joined: Joined, away: boolean): void {
  const { doc } = copy;
  const files = new FileStore(doc);
  const connection = new Connection(
    doc,
    `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/${session}`,
    copy.kept,
  );
  const rights = new Rights(connection, joined.role);
  const size = new DocumentSize(doc, () => connection.limits.max_document_bytes ?? Number.POSITIVE_INFINITY);
  connection.awareness.setLocalState({
    user: { name: joined.name, color: joined.color, colorLight: `${joined.color}33` },
  });
  const runs = new Runs(connection, files);
  const isMe = (participant: string) => people.isMe(participant);
  const drafts = new Drafts(connection, files, isMe);
  const variants = new Variants(connection, files, isMe);
  const aim = new Aim(files);
  const authors = new Authors({ session, connection, rights });
  const nonce = document.querySelector<HTMLMetaElement>("meta[name=csp-nonce]")?.content ?? "";
  let choice: VariantPanel | undefined;
  const editor = new Editor({
    parent: need("#editor"),
    files,
    awareness: connection.awareness,
    nonce,
    editable: rights.may("write"),
    liveRegions: (file) => runs.liveRegions(file),
    aimed: (file) => aim.regions(file),
    ghosts: (file) => [...drafts.ghosts(file), ...(choice?.ghosts(file) ?? [])],
    ghostsTouched: (ids) => drafts.touched(ids),
    tint: (text) => authors.extension(text),
    refusal: (bytes) => size.refusal(bytes),
    refused: (why) => toast(`Nothing was inserted. ${why}`, "warn"),
  });
  window.ensemble = { doc, connection, view: editor.view };
  authors.attach(editor);

  const me = { participant: joined.participant, name: joined.name, color: joined.color };
  const hosting = new Hosting(session, rights);
  const people = new People({ connection, editor, files, hosting, rights }, me);
  const panels = new Panels();
  const tellOffline = () => toast("You are offline: that cannot reach the server.", "warn");
  choice = new VariantPanel({ variants, editor, rights, isMe, offline: tellOffline });
  const watch = new ModelWatch(connection.awareness, editor, files);
  new FilesPanel({
    ...{ session, files, editor, rights, awareness: connection.awareness },
    refusal: (bytes) => files.fullness(connection.limits.max_files) ?? size.refusal(bytes),
    show: () => panels.set("files", true),
    chosen: () => {
      people.lead();
      panels.closeSheets();
    },
  });
  const askMode = new AskMode();
  new Timeline({
    runs,
    rights,
    files,
    askOn: (run) => askMode.askOn(run),
    goTo: ({ file, line }) => {
      people.lead();
      panels.closeSheets();
      editor.flashLine(file, line);
    },
    offline: tellOffline,
    reveal: (run) => {
      people.lead();
      panels.closeSheets();
      const span = runs.span(run);
      const changed = run.diff.find((line) => line.op === "+" || line.op === "-");
      if (files.text(run.file) === null) toast(`${run.path} is no longer there.`, "warn");
      else if (span) editor.reveal(run.file, span);
      else editor.revealLine(run.file, changed?.new ?? changed?.old ?? 1);
    },
  });
  askMode.on("ask", () => panels.closeSheets());
  const asked = () => panels.set("timeline", true);
  const takeTry = () => choice?.takeTry() ?? false;
  new InstructionBar({ connection, editor, files, runs, rights, isMe, drafts, variants, takeTry, aim, askMode, asked });
  new Strip({ runs, variants, rights, isMe });
  const share = new Share(session, joined.links, rights);
  setUpModels(session, connection, rights);
  setUpSettings({ session, connection, rights, files, runs, drafts });
  new HistoryView({ session, connection, editor, files, rights, nonce });
  showShortcuts();
  setUpTextSize(editor.view);
  followRights(rights, editor);

  runs.on("regions", () => editor.refreshRegions());
  aim.on("change", () => editor.refreshRegions());
  drafts.on("change", () => editor.refreshGhosts());
  const begun = new Set<string>();
  connection.on("run.started", ({ run: id, by }) => {
    const run = runs.get(id);
    const span = run ? runs.span(run) : null;
    // Whoever asked sees it begin, once: it is told again with what the model saw. Nobody else's page jumps.
    if (run && span && isMe(by.participant) && !begun.has(id)) {
      begun.add(id);
      // Not under the hands of somebody who writes in another file by now.
      if (run.file === editor.file || !editor.view.dom.contains(document.activeElement)) editor.reveal(run.file, span);
      else toast(`Your run begins in ${run.path}.`);
      watch.start(run.file);
    }
  });
  connection.on("run.finished", () => {
    if (!runs.live().some((run) => isMe(run.by.participant))) watch.stop();
  });
  editor.on("language", (name) => {
    need("#language").textContent = name;
  });
  editor.on("open", (file) => {
    if (file === null) need("#language").textContent = "";
    else rememberFile(file);
  });
  editor.on("broken", () =>
    banner("broken", "warn", "This file holds something that is not text; it is shown read-only.", []),
  );
  const rescue = rescueOf(files, editor);
  const offline = new Offline({ copy, connection, files, size, joined, rescue, rights });
  followConnection(connection, files, editor, rights, offline);
  if (away) void comeBack(connection, offline, share);
  else connection.connect();
}

async function comeBack(connection: Connection, offline: Offline, share: Share): Promise<void> {
  connection.awaitServer();
  const joined = await join(token, null);
  if (!joined) return;
  offline.links = joined.links;
  share.learn(joined.links);
  connection.connect();
}

/** The page adapts in place when the host changes this person's role. */
function followRights(rights: Rights, editor: Editor): void {
  const show = () => {
    editor.setEditable(rights.may("write"));
    need("#role").hidden = rights.role !== "viewer";
  };
  rights.on("change", show);
  rights.on("role", (role, before) => {
    toast(roleSentence(role, before), role === "viewer" ? "warn" : "info");
    // What was refused while this person could only view, the server asks for now.
    if (rights.may("write")) clearBanner("refused");
  });
  show();
}

function rescueOf(files: FileStore, editor: Editor): Action[] {
  return [
    { label: "Copy my text", run: () => void copyCurrent(files, editor) },
    { label: "Download my files", run: () => downloadFiles(document.title, filesOf(files)) },
  ];
}

function followConnection(
  connection: Connection,
  files: FileStore,
  editor: Editor,
  rights: Rights,
  offline: Offline,
): void {
  const rescue = rescueOf(files, editor);
  showSaveState(connection, copy, rescue);
  const open = () => {
    if (document.body.dataset.phase === "ready") return;
    document.body.dataset.phase = "ready";
    const list = files.list();
    const remembered = rememberedFile();
    editor.open((list.find((entry) => entry.id === remembered) ?? list[0])?.id ?? null);
    files.on("change", () => {
      // The first file of an empty session opens by itself.
      if (editor.file === null) editor.open(files.list()[0]?.id ?? null);
    });
  };
  connection.once("synced", open);
  if (connection.lineage !== null && files.list().length > 0) open();
  connection.on("welcome", (m) => {
    rememberName(m.name);
  });
  let lastError = "";
  const reload: Action = { label: "", run: () => location.reload() };
  // This browser's copy would bring the refused change again: it is set aside, to be looked at.
  const afresh: Action = {
    label: "Open the shared text",
    run: async () => {
      if (!(await offline.startAfresh("refused"))) location.reload();
    },
  };
  connection.on("error", ({ code, message }) => {
    lastError = message;
    const tooLate = code === "forbidden" && !rights.may("write") && connection.hasUnsaved;
    if (code === "bad_frame" || tooLate) {
      // The server did not take the change, so this page and the others now differ.
      const what = tooLate ? "You can only view now, and what you wrote last came too late." : message;
      banner("refused", "error", `${what} Your last change is on this page only.`, [...rescue, afresh]);
    } else toast(message, code === "internal" ? "error" : "warn");
  });
  connection.on("ended", (sentence, code) => {
    clearBanner("offline");
    clearBanner("refused");
    document.body.dataset.phase = "ended";
    // The error that came before tells more than the code: which limit, and how large it is.
    const text = code === 4400 || code === 4413 ? `${sentence} ${lastError}` : sentence;
    const out = REJOINABLE.includes(code)
      ? { ...(REFUSED.includes(code) ? afresh : reload), label: "Open the session again" }
      : { label: "Start a new session", run: () => location.assign("/") };
    showEnded(code, text, [out, ...rescue]);
  });
  addEventListener("beforeunload", (event) => {
    if (connection.hasUnsaved && !offline.leaving) event.preventDefault();
  });
}

async function copyCurrent(files: FileStore, editor: Editor): Promise<void> {
  const text = files.text(editor.file ?? "");
  if (text && (await copyText(text.toString()))) toast("The text of the open file is in the clipboard.");
  else toast(`The browser did not allow copying: select all with ${mod("A")} and copy.`, "warn");
}

function rememberFile(file: string): void {
  try {
    sessionStorage.setItem(`ensemble.file.${session}`, file);
  } catch {
    // Storage may be forbidden; the page then opens with the first file.
  }
}

function rememberedFile(): string | null {
  try {
    return sessionStorage.getItem(`ensemble.file.${session}`);
  } catch {
    return null;
  }
}

// By its address it would be taken for another link.
need(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector<HTMLElement>("#editor .cm-content")?.focus();
});

// Another link to this session, pasted into the same tab, only changes the fragment.
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());

const token = takeToken();
const copy = await Copy.open(session);
const joined = await join(token, copy.joined);
if (joined) {
  clearBanner("join");
  start(joined, joined === copy.joined);
}
