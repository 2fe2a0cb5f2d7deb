// Which model there is, as the bar names it, and a banner where there is none.
import { ObservableV2 } from "lib0/observable";
import type { Connection } from "./connection";
import { need } from "./dom";
import { banner, clearBanner } from "./notices";
import type { Model } from "./protocol";

export class ModelPill extends ObservableV2<{ change: () => void }> {
  #model: Model | null = null;
  /** Why there is no model just now, as the page says it. */
  #missing = "";

  constructor(connection: Connection) {
    super();
    connection.on("welcome", ({ model }) => this.#show(model));
    connection.on("model", ({ model }) => this.#show(model));
  }

  get failed(): boolean {
    return this.#model?.state === "failed";
  }

  #show(model: Model): void {
    // One that was there and is not, or cannot be used, is worth more than a word below the line.
    const failed = model.state === "failed";
    const lost = model.state === "loading" && (this.#model?.state === "ready" || this.#missing !== "");
    const missing = failed || lost ? model.detail : "";
    if (missing !== this.#missing) {
      clearBanner("model");
      if (missing) banner("model", failed ? "error" : "warn", missing);
      this.#missing = missing;
    }
    this.#model = model;
    const pill = need("#model");
    pill.dataset.state = model.state;
    const share = model.progress === null ? "" : ` ${Math.round(model.progress * 100)} %`;
    const state = { loading: `is loading${share}`, ready: "", failed: "cannot be used", asleep: "" }[model.state];
    need("#model-name").textContent = [model.name || "The model", state].filter(Boolean).join(" ");
    pill.title = model.detail;
    this.emit("change", []);
  }
}
