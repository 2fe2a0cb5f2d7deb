// What a host sets for the session: its title, whether viewers may stop a run, drafts, its end. Everybody sees the title.
import { changeSession, endSession } from "./api";
import type { Connection } from "./connection";
import { need } from "./dom";
import type { Drafts } from "./drafts";
import type { FileStore } from "./filestore";
import { attempt } from "./hosting";
import { toast } from "./notices";
import type { SessionInfo } from "./protocol";
import type { Rights } from "./rights";
import type { Runs } from "./runs";

interface Options {
  session: string;
  connection: Connection;
  drafts: Drafts;
  rights: Rights;
  files: FileStore;
  runs: Runs;
}

const UNTITLED = "Untitled session"; // as in session.html

export function setUpSettings(options: Options): void {
  const { connection, session, drafts } = options;
  const input = need<HTMLInputElement>("#session-title");
  const viewers = need<HTMLInputElement>("#viewers-may-stop");
  const drafting = need<HTMLInputElement>("#session-drafts");
  let title = "";
  const show = ({ session: info }: { session: SessionInfo }) => {
    title = info.title;
    need("#title").textContent = title || UNTITLED;
    document.title = `${title || UNTITLED} – Ensemble`;
    if (document.activeElement !== input) input.value = title;
    viewers.checked = info.viewers_may_stop;
  };
  connection.on("welcome", show);
  connection.on("session", show);
  // Without the host's choice it is the model that decides: what is so is told apart from what was chosen.
  drafts.on("state", ({ state }) => {
    drafting.checked = state !== "off";
  });
  drafting.addEventListener("change", async () => {
    const wanted = drafting.checked;
    if (!(await attempt(() => changeSession(session, { drafts: wanted })))) drafting.checked = !wanted;
  });
  need<HTMLFormElement>("#title-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = input.value.trim();
    if (wanted === title) return;
    if (await attempt(() => changeSession(session, { title: wanted }))) toast("The title is changed for everybody.");
    else input.value = title;
  });
  viewers.addEventListener("change", async () => {
    const wanted = viewers.checked;
    if (!(await attempt(() => changeSession(session, { viewers_may_stop: wanted })))) viewers.checked = !wanted;
  });
  setUpEnd(options);
}

function setUpEnd({ session, files, runs, rights }: Options): void {
  const ask = need<HTMLButtonElement>("#end-session");
  const question = need("#end-question");
  const sure = need<HTMLButtonElement>("#end-confirm");
  const cancel = need<HTMLButtonElement>("#end-cancel");
  const close = () => {
    question.hidden = true;
    ask.hidden = false;
  };
  ask.addEventListener("click", () => {
    need("#end-what").textContent = whatGoes(files.list().length, runs.all().length);
    question.hidden = false;
    ask.hidden = true;
    // Not on the button that does it: a second Enter must not be enough.
    cancel.focus();
  });
  cancel.addEventListener("click", () => {
    close();
    ask.focus();
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    // Not the whole dialog.
    event.preventDefault();
    close();
    ask.focus();
  });
  sure.addEventListener("click", async () => {
    sure.disabled = true;
    // If it is done, the server closes the connection and the page says so.
    await attempt(() => endSession(session));
    sure.disabled = false;
  });
  need("#share-dialog").addEventListener("close", close);
  rights.on("change", close);
}

function whatGoes(files: number, runs: number): string {
  const count = (n: number, one: string, many: string) => (n === 1 ? `1 ${one}` : `${n} ${many}`);
  const what = [count(files, "file", "files"), "the whole history"];
  if (runs > 0) what.push(count(runs, "run in the timeline", "runs in the timeline"));
  const list = `${what.slice(0, -1).join(", ")} and ${what.at(-1)}`;
  return `The server deletes ${list}, for everybody and for good. All links stop working. Download the files first if you want to keep them.`;
}
