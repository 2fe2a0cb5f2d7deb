// The session page: joins, then wires the parts to each other.
import * as Y from "yjs";
import { ApiError, type Joined, joinSession } from "./api";
import { Authors } from "./authors";
import { Connection, type SaveState } from "./connection";
import { downloadText, h, mod, need } from "./dom";
import { Editor } from "./editor";
import { showEnded } from "./ended";
import { FilesPanel, kilobytes } from "./files";
import { FileStore } from "./filestore";
import { HistoryView } from "./historyview";
import { Hosting } from "./hosting";
import { InstructionBar, showShortcuts } from "./instruction";
import { setUpModels } from "./models";
import { rememberedName, rememberName } from "./names";
import { type Action, banner, clearBanner, toast } from "./notices";
import { Panels } from "./panels";
import { People } from "./people";
import { roleSentence } from "./protocol";
import { Rights } from "./rights";
import { Runs } from "./runs";
import { setUpSettings } from "./settings";
import { copyText, Share } from "./share";
import { Timeline } from "./timeline";
import { ModelWatch } from "./watch";

declare global {
  interface Window {
    /** For tests and the console. */
    ensemble?: { doc: Y.Doc; connection: Connection; view: Editor["view"] };
  }
}

const SAVE_LABEL: Record<SaveState, string> = {
  connecting: "Connecting…",
  saved: "Saved",
  saving: "Saving…",
  offline: "Offline – changes kept here",
  failing: "Not saved – kept in memory",
};

// Closed for good, but the browser's cookie still opens the session.
const REJOINABLE = [4400, 4409, 4413, 4429, 4430];

const session = document.body.dataset.session ?? "";

/** The token is the key to the session: it leaves the address bar before anything else happens. */
function takeToken(): string | null {
  const token = decodeURIComponent(location.hash.slice(1));
  if (token === "") return null;
  history.replaceState(history.state, "", location.pathname);
  return token;
}

async function join(): Promise<Joined | null> {
  const token = takeToken();
  for (let attempt = 0; ; attempt++) {
    try {
      return await joinSession(session, rememberedName(), token);
    } catch (error) {
      const refused = error instanceof ApiError ? error : new ApiError(0, "internal", String(error));
      if (refused.status !== 0 && refused.status < 500) {
        showRefusal(refused);
        return null;
      }
      banner("join", "warn", `${refused.message} Trying again…`);
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
  );
}

function start(joined: Joined): void {
  const doc = new Y.Doc();
  const files = new FileStore(doc);
  const connection = new Connection(
    doc,
    `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/${session}`,
  );
  const rights = new Rights(connection, joined.role);
  connection.awareness.setLocalState({
    user: { name: joined.name, color: joined.color, colorLight: `${joined.color}33` },
  });
  const runs = new Runs(connection, files);
  const authors = new Authors({ session, connection, rights });
  const nonce = document.querySelector<HTMLMetaElement>("meta[name=csp-nonce]")?.content ?? "";
  const editor = new Editor({
    parent: need("#editor"),
    files,
    awareness: connection.awareness,
    nonce,
    editable: rights.may("write"),
    liveRegions: (file) => runs.liveRegions(file),
    tint: (text) => authors.extension(text),
    // Text takes a little more room in an update than in UTF-8.
    largestInsert: () => connection.frameLimit - 1_000,
    onTooLarge: (bytes) =>
      toast(
        `That is ${kilobytes(bytes)} at once; the limit is ${kilobytes(connection.frameLimit)}. Nothing was inserted.`,
        "warn",
      ),
  });
  window.ensemble = { doc, connection, view: editor.view };
  authors.attach(editor);

  const me = { participant: joined.participant, name: joined.name, color: joined.color };
  const hosting = new Hosting(session, rights);
  const people = new People({ connection, editor, files, hosting, rights }, me);
  const isMe = (participant: string) => people.isMe(participant);
  const panels = new Panels();
  const watch = new ModelWatch(connection.awareness, editor, files);
  const offline = () => toast("You are offline: that cannot reach the server.", "warn");
  new FilesPanel({
    ...{ session, files, editor, rights, awareness: connection.awareness },
    largestFile: () => connection.limits.max_document_bytes ?? Number.POSITIVE_INFINITY,
    chosen: () => panels.closeSheets(),
  });
  new Timeline({
    runs,
    rights,
    offline,
    reveal: (run) => {
      panels.closeSheets();
      const span = runs.span(run);
      const changed = run.diff.find((line) => line.op === "+" || line.op === "-");
      if (files.text(run.file) === null) toast(`${run.path} is no longer there.`, "warn");
      else if (span) editor.reveal(run.file, span);
      else editor.revealLine(run.file, changed?.new ?? changed?.old ?? 1);
    },
  });
  new InstructionBar({ connection, editor, runs, rights, isMe });
  new Share(session, joined.links, rights);
  setUpModels(session, connection, rights);
  setUpSettings({ session, connection, rights, files, runs });
  new HistoryView({ session, connection, editor, files, rights, nonce });
  showShortcuts();
  followRights(rights, editor);

  runs.on("regions", () => editor.refreshRegions());
  connection.on("run.started", ({ run: id, by }) => {
    const run = runs.get(id);
    const span = run ? runs.span(run) : null;
    // Whoever asked sees it begin; nobody else's page jumps.
    if (run && span && isMe(by.participant)) {
      editor.reveal(run.file, span);
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
  followConnection(connection, files, editor, rights);
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

function followConnection(connection: Connection, files: FileStore, editor: Editor, rights: Rights): void {
  const element = need("#save-state");
  const rescue: Action[] = [
    { label: "Copy my text", run: () => void copyCurrent(files, editor) },
    { label: "Download my files", run: () => downloadAll(files) },
  ];
  connection.on("save", (state, detail) => {
    // A test, and a style, tells four states apart; the first connection is an offline one.
    element.dataset.state = state === "connecting" ? "offline" : state;
    need("#save-text").textContent = SAVE_LABEL[state];
    element.title = detail;
    if (state === "failing") {
      banner(
        "storage",
        "error",
        `${detail || "The server cannot save just now."} Your changes are kept in memory and tried again.`,
        rescue,
      );
    } else clearBanner("storage");
    if (state === "offline") {
      banner(
        "offline",
        "warn",
        "The connection is lost. Keep writing: your changes stay on this page and are sent when it is back.",
        rescue,
      );
    } else clearBanner("offline");
  });
  connection.once("synced", () => {
    document.body.dataset.phase = "ready";
    const list = files.list();
    const remembered = rememberedFile();
    editor.open((list.find((entry) => entry.id === remembered) ?? list[0])?.id ?? null);
    files.on("change", () => {
      // The first file of an empty session opens by itself.
      if (editor.file === null) editor.open(files.list()[0]?.id ?? null);
    });
  });
  connection.on("welcome", (m) => {
    rememberName(m.name);
  });
  let lastError = "";
  connection.on("error", ({ code, message }) => {
    lastError = message;
    const tooLate = code === "forbidden" && !rights.may("write") && connection.hasUnsaved;
    if (code === "bad_frame" || tooLate) {
      // The server did not take the change, so this page and the others now differ.
      const what = tooLate ? "You can only view now, and what you wrote last came too late." : message;
      const reload = { label: "Reload the shared text", run: () => location.reload() };
      banner("refused", "error", `${what} Your last change is on this page only.`, [...rescue, reload]);
    } else toast(message, code === "internal" ? "error" : "warn");
  });
  connection.on("oversize", (bytes, limit) => {
    const text = `A change of ${kilobytes(bytes)} is larger than the limit of ${kilobytes(limit)}: it is on this page only.`;
    banner("refused", "error", text, rescue);
  });
  connection.on("ended", (sentence, code) => {
    clearBanner("offline");
    clearBanner("refused");
    document.body.dataset.phase = "ended";
    // The error that came before tells more than the code: which limit, and how large it is.
    const text = code === 4400 || code === 4413 ? `${sentence} ${lastError}` : sentence;
    const out = REJOINABLE.includes(code)
      ? { label: "Open the session again", run: () => location.reload() }
      : { label: "Start a new session", run: () => location.assign("/") };
    showEnded(code, text, [out, ...rescue]);
  });
  addEventListener("beforeunload", (event) => {
    if (connection.hasUnsaved) event.preventDefault();
  });
}

async function copyCurrent(files: FileStore, editor: Editor): Promise<void> {
  const text = files.text(editor.file ?? "");
  if (text && (await copyText(text.toString()))) toast("The text of the open file is in the clipboard.");
  else toast(`The browser did not allow copying: select all with ${mod("A")} and copy.`, "warn");
}

function downloadAll(files: FileStore): void {
  for (const { id, path } of files.list()) downloadText(path.replaceAll("/", "-"), files.text(id)?.toString() ?? "");
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

// Another link to this session, pasted into the same tab, only changes the fragment.
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());

const joined = await join();
if (joined) {
  clearBanner("join");
  start(joined);
}
