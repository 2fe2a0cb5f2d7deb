// For somebody whom the session does not let in, or whose session has ended: the text that this browser still has.
import { filesOf } from "./branches";
import type { Copy } from "./copy";
import { downloadFiles, h } from "./dom";
import { FileStore } from "./filestore";
import { confirmDialog } from "./notices";

/** What the server has is no loss: null. `gone`: the session has ended, and what was saved of it goes from here too. */
export function offerKept(copy: Copy, gone: boolean): HTMLElement | null {
  if (gone) void copy.ended().catch(() => undefined);
  if (!copy.unsaved) return null;
  const files = new FileStore(copy.doc);
  const discard = async () => {
    const sure = await confirmDialog(
      "Delete the copy?",
      "Changes in it that never reached the server are lost.",
      "Delete",
    );
    if (!sure) return;
    await copy.discard();
    box.remove();
  };
  const box = h(
    "div",
    { class: "kept", "data-testid": "kept-copy" },
    h("p", {}, "This browser has a copy of the text, with changes that may never have reached the server."),
    h(
      "div",
      { class: "kept-actions" },
      h(
        "button",
        { type: "button", class: "button", onclick: () => downloadFiles("ensemble-copy", filesOf(files)) },
        "Download the copy",
      ),
      h("button", { type: "button", class: "button", onclick: () => void discard() }, "Delete it"),
    ),
  );
  return box;
}
