// The server's model, where whoever runs the server lets hosts choose it: a list in the share dialog.
import { type InstalledModel, listModels, useModel } from "./api";
import type { Connection } from "./connection";
import { h, need } from "./dom";
import { attempt } from "./hosting";
import { toast } from "./notices";
import type { Model } from "./protocol";
import type { Rights } from "./rights";

const FIT: Record<string, string> = { tight: ", tight in memory", "too large": ", too large for this server" };

export function setUpModels(session: string, connection: Connection, rights: Rights): void {
  const section = need("#model-choice");
  const select = need<HTMLSelectElement>("#model-select");
  const use = need<HTMLButtonElement>("#model-use");
  let asked = "";

  const show = (models: InstalledModel[]) => {
    section.hidden = models.length === 0;
    const options = models.map(({ model, bytes, fit, in_use }) =>
      h(
        "option",
        { value: model, selected: in_use, disabled: fit === "too large" },
        `${model} (${size(bytes)}${FIT[fit ?? ""] ?? ""})${in_use ? ", in use" : ""}`,
      ),
    );
    select.replaceChildren(...options);
  };
  const refresh = async () => {
    if (!rights.may("manage")) return show([]);
    try {
      show((await listModels(session)).models);
    } catch {
      show([]); // offline, or not a host any more: the page says so elsewhere
    }
  };
  need("#share-button").addEventListener("click", () => void refresh());
  rights.on("change", () => show([]));
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

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
