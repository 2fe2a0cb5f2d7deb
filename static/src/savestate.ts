// What the page says of where the text is: on the server, on its way, in this browser's copy, or on this page only.
import type { Connection } from "./connection";
import type { SaveState } from "./connectionevents";
import type { Copy } from "./copy";
import { h, need } from "./dom";
import { type Action, banner, clearBanner } from "./notices";

// A test, and a style, tells four states apart: without an answer, as before the first connection, one is offline.
const LOOK: Record<SaveState, "saved" | "saving" | "offline" | "failing"> = {
  connecting: "offline",
  saved: "saved",
  saving: "saving",
  offline: "offline",
  quiet: "offline",
  failing: "failing",
};

export function showSaveState(connection: Connection, copy: Copy, rescue: Action[]): void {
  const element = need("#save-state");
  let failing = "";
  const label = (state: SaveState): [short: string, more: string] => {
    const kept = copy.problem === null ? " – changes kept here" : " – changes on this page only";
    if (state === "offline") return ["Offline", kept];
    if (state === "quiet") return ["Not answering", kept];
    if (state === "failing") return ["Not saved", " – kept in memory"];
    return [{ connecting: "Connecting…", saved: "Saved", saving: "Saving…" }[state], ""];
  };
  const show = () => {
    const state = connection.saveState;
    element.dataset.state = LOOK[state];
    const [short, more] = label(state);
    need("#save-text").replaceChildren(short, h("span", { class: "save-more" }, more));
    element.title = [failing, copy.problem && `This browser keeps no copy: ${copy.problem}.`].filter(Boolean).join(" ");
    if (state === "failing") {
      const what = failing || "The server cannot save just now.";
      banner("storage", "error", `${what} Your changes are kept in memory and tried again.`, rescue);
    } else clearBanner("storage");
    if (state === "offline") banner("offline", "warn", offlineSentence(copy), rescue);
    else if (state === "quiet") {
      banner("offline", "warn", `The server does not answer just now. ${keptSentence(copy)}`, rescue);
    } else clearBanner("offline");
  };
  connection.on("save", (_, detail) => {
    failing = detail;
    show();
  });
  copy.on("problem", show);
}

function offlineSentence(copy: Copy): string {
  return `The connection is lost. ${keptSentence(copy)}`;
}

function keptSentence(copy: Copy): string {
  return copy.problem === null
    ? "Keep writing: your changes are kept in this browser and sent when it is back."
    : `Keep this page open: this browser keeps no copy (${copy.problem}), so your changes are on this page only until it is back.`;
}
