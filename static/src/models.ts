// The server's models, where whoever runs the server lets hosts choose: a part of the share dialog.
import {
  type CatalogueModel,
  type Download,
  type InstalledModel,
  installModel,
  listModels,
  type Models,
  removeModel,
  useModel,
} from "./api";
import type { Connection } from "./connection";
import { h, need } from "./dom";
import { attempt } from "./hosting";
import { toast } from "./notices";
import type { Model } from "./protocol";
import type { Rights } from "./rights";

const FIT: Record<string, string> = { tight: ", tight in memory", "too large": ", too large for this server" };
const LOOK_MS = 1000;

export function setUpModels(session: string, connection: Connection, rights: Rights): void {
  const dialog = need<HTMLDialogElement>("#share-dialog");
  const section = need("#model-choice");
  const select = need<HTMLSelectElement>("#model-select");
  const use = need<HTMLButtonElement>("#model-use");
  const list = need("#model-list");
  let asked = "";
  let timer = 0;
  const drawn = new Map<string, string>();
  // Drawn anew only when something has changed: whoever is choosing just now is not disturbed.
  const changed = (part: string, known: unknown) => {
    const now = JSON.stringify(known);
    return drawn.get(part) !== now && Boolean(drawn.set(part, now));
  };

  const show = (known: Models | null) => {
    section.hidden = !known?.models.length;
    if (!known) return;
    const download = known.download && ["fetching", "checking"].includes(known.download.state) ? known.download : null;
    if (download && dialog.open) timer = window.setTimeout(refresh, LOOK_MS);
    if (changed("models", known.models)) {
      const chosen = select.value;
      select.replaceChildren(...known.models.map(option));
      if (known.models.some(({ model, in_use }) => model === chosen && !in_use)) select.value = chosen;
    }
    if (!changed("list", known)) return;
    const ended = download ? null : known.download;
    const focused = document.activeElement?.closest<HTMLElement>("[data-model]")?.dataset.model;
    list.replaceChildren(
      ...known.to_install.map((model) => toInstall(model, download, ended)),
      ...known.models.filter(({ own }) => !own).map(installed),
    );
    if (focused) list.querySelector<HTMLElement>(`[data-model="${CSS.escape(focused)}"] button`)?.focus();
  };

  const refresh = async () => {
    window.clearTimeout(timer);
    if (!rights.may("manage")) return show(null);
    try {
      show(await listModels(session));
    } catch {
      show(null); // offline, or not a host any more: the page says so elsewhere
    }
  };

  const act = (label: string, model: string, does: () => Promise<void>, more: Record<string, unknown> = {}) => {
    const button = h(
      "button",
      { type: "button", class: "button small", "aria-label": `${label} ${model}`, ...more },
      label,
    ) as HTMLButtonElement;
    button.addEventListener("click", async () => {
      button.disabled = true;
      await attempt(does);
      await refresh();
      button.disabled = false;
    });
    return button;
  };

  const row = (model: string, about: string, ...more: HTMLElement[]) =>
    h(
      "li",
      { "data-model": model, "data-testid": "model-row" },
      h("div", {}, h("strong", {}, model), h("small", { class: "muted" }, about)),
      ...more,
    );

  const toInstall = (each: CatalogueModel, download: Download | null, ended: Download | null) => {
    const { model, bytes, licence, good_for, fit, begun_bytes } = each;
    const about = `${size(bytes)}, ${licence}: ${good_for}${FIT[fit ?? ""] ?? ""}`;
    if (download?.model === model) {
      const { done, size: all, state } = download;
      const words = state === "checking" ? "Checking" : all ? `${size(done)} of ${size(all)}` : "Asking the hub";
      const bar = h("progress", {
        max: all || 1,
        value: all ? done : 0,
        "aria-label": `Fetching ${model}`,
        "data-testid": "model-progress",
      });
      return row(
        model,
        words,
        bar,
        act("Stop", model, () => removeModel(session, model)),
      );
    }
    const install = act(begun_bytes ? "Go on" : "Install", model, () => installModel(session, model), {
      disabled: fit === "too large" || download !== null,
      title:
        fit === "too large"
          ? "It needs more memory than this server has."
          : download
            ? "Another model is being fetched."
            : "",
    });
    const kept = begun_bytes ? `${size(begun_bytes)} have come. ` : "";
    const said =
      ended?.model === model && ended.detail ? [h("p", { class: "model-said", role: "status" }, ended.detail)] : [];
    return row(model, kept + about, install, ...said);
  };

  const installed = ({ model, bytes, in_use }: InstalledModel) =>
    row(
      model,
      `${size(bytes)}, installed${in_use ? ", in use" : ""}`,
      act("Remove", model, () => removeModel(session, model), {
        disabled: in_use,
        title: in_use ? "It is in use: choose another one first." : "",
      }),
    );

  need("#share-button").addEventListener("click", () => void refresh());
  dialog.addEventListener("close", () => window.clearTimeout(timer));
  rights.on("change", () => show(null));
  use.addEventListener("click", async () => {
    use.disabled = true;
    asked = select.value;
    if (!(await attempt(() => useModel(session, asked)))) asked = "";
    use.disabled = false;
  });
  connection.on("model", ({ model }: { model: Model }) => {
    if (model.state === "loading" || !asked) return;
    // What could not be is said in the detail of the model that is used instead.
    toast(model.detail || `The server uses ${model.name} now.`, model.detail ? "warn" : "info");
    asked = "";
    void refresh();
  });
}

function option({ model, bytes, fit, in_use }: InstalledModel): HTMLElement {
  const words = `${model} (${size(bytes)}${FIT[fit ?? ""] ?? ""})${in_use ? ", in use" : ""}`;
  return h("option", { value: model, selected: in_use, disabled: fit === "too large" }, words);
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
