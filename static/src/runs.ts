// What the page knows of every run: told by the server, kept in the order in which runs began.
import { ObservableV2 } from "lib0/observable";
import { afterSync } from "./aftersync";
import type { Connection } from "./connection";
import type { FileStore } from "./filestore";
import type {
  By,
  Card,
  DiffLine,
  EngineName,
  Engines,
  Figures,
  Link,
  Mode,
  Model,
  Outcome,
  Places,
  Region,
  Seen,
  Selection,
} from "./protocol";
import { locate, type Span, type Sticky, stick } from "./sticky";

export type RunState = "queued" | "streaming" | Outcome;

export interface Run extends Figures {
  id: string;
  by: By;
  file: string;
  path: string;
  instruction: string;
  mode: Mode;
  engine: EngineName;
  model: string;
  continues: string | null;
  /** The instructions that led to this one, oldest first. */
  chain: Link[];
  /** The run that this one does again. */
  retries: string | null;
  state: RunState;
  position: number;
  /** The run that it waits for because it rewrites these lines. */
  behind: string | null;
  /** When this page first heard of it: counts the seconds shown while it is live. */
  since: number;
  stopping: boolean;
  /** What it may rewrite, in ascending order; empty if this page was not there when it began. */
  regions: Sticky[];
  lines: { first: number; last: number } | null;
  places: Places | null;
  notes: string[];
  saw: Seen[];
  reason: string | null;
  text: string;
  diff: DiffLine[];
  undone: boolean;
  kept: boolean;
}

export function isLive(run: Run): boolean {
  return run.state === "queued" || run.state === "streaming";
}

export class Runs extends ObservableV2<{
  change: (run: Run) => void;
  /** The page hears of a run for the first time, queued or started. */
  begin: (run: Run) => void;
  regions: () => void;
  reset: () => void;
  engines: () => void;
}> {
  readonly #runs = new Map<string, Run>();
  #engines: Engines | null = null;

  constructor(
    readonly connection: Connection,
    readonly files: FileStore,
  ) {
    super();
    connection.on("open", () => this.#forgetLive());
    connection.on("engines", ({ engines }) => this.#learn(engines));
    connection.on("welcome", ({ runs, engines }) => {
      this.#learn(engines);
      // What goes on is told again, its answer as well, where somebody has only changed their name.
      for (const run of this.live()) this.#change(run.id, { text: "" });
      for (const card of runs) this.#take(card);
    });
    const inText = afterSync(connection);
    connection.on("run.queued", ({ type: _, run, ...queued }) => {
      this.#change(run, { ...queued, state: "queued", path: this.files.path(queued.file) ?? "" });
    });
    connection.on("run.started", ({ type: _, run, region, regions, ...started }) => {
      this.#change(run, {
        ...started,
        state: "streaming",
        reason: null,
        path: this.files.path(started.file) ?? "",
        lines: { first: region.first_line, last: region.last_line },
      });
      inText(() => this.#hold(run, regions));
    });
    connection.on("run.progress", ({ run: id, tokens, ttft_ms, tokens_per_s, places }) => {
      if (this.#runs.has(id)) this.#change(id, { tokens, ttft_ms, tokens_per_s, places });
    });
    connection.on("run.text", ({ run: id, text }) => {
      const run = this.#runs.get(id);
      if (run) this.#change(id, { text: run.text + text });
    });
    connection.on("run.finished", ({ type: _, run, outcome, reason = null, ...figures }) => {
      this.#change(run, { ...figures, state: outcome, reason, stopping: false });
    });
    connection.on("run.card", ({ type: _, ...card }) => this.#take(card));
  }

  get(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  all(): Run[] {
    return [...this.#runs.values()];
  }

  live(): Run[] {
    return this.all().filter(isLive);
  }

  liveRegions(file: string): Sticky[] {
    return this.live().flatMap((run) => (run.file === file ? run.regions : []));
  }

  /** The run that a new instruction or question steers: the newest live one of its kind, of this file if there is one. */
  steerable(file: string | null, mode: Mode): Run | undefined {
    const live = this.live().filter((run) => run.mode === mode);
    return live.findLast((run) => run.file === file) ?? live.at(-1);
  }

  /** Where the run's text, the first of several, lies now; null if this page was not there when it began. */
  span(run: Run): Span | null {
    const text = this.files.text(run.file);
    return text && run.regions[0] ? locate(text, run.regions[0]) : null;
  }

  start(instruction: string, file: string, selection?: Selection): boolean {
    return this.connection.send({
      type: "run.start",
      instruction,
      file,
      mode: "edit",
      ...(selection ? { selection } : {}),
    });
  }

  /** A question; behind an answer, where it goes on from that. */
  ask(question: string, file: string, selection: Selection | undefined, onto: Run | null): boolean {
    if (onto) return this.steer(onto, question);
    const message = { type: "run.start", instruction: question, file, mode: "ask" } as const;
    return this.connection.send({ ...message, ...(selection ? { selection } : {}) });
  }

  steer(run: Run, instruction: string): boolean {
    return this.connection.send({ type: "run.steer", run: run.id, instruction });
  }

  /** A run that waits for another's lines becomes a new course of that other. */
  steerInstead(run: Run, other: Run): boolean {
    return this.stop(run) && this.steer(other, run.instruction);
  }

  /** One run, or all. */
  stop(run?: Run): boolean {
    const sent = this.connection.send({ type: "run.stop", ...(run ? { run: run.id } : {}) });
    if (sent) for (const each of run ? [run] : this.live()) this.#change(each.id, { stopping: true });
    return sent;
  }

  undo(run: Run): boolean {
    return this.connection.send({ type: "run.undo", run: run.id });
  }

  keep(run: Run): boolean {
    return this.connection.send({ type: "run.keep", run: run.id });
  }

  /** The same instruction on the same lines again, after undoing what stands. */
  retry(run: Run): boolean {
    return this.connection.send({ type: "run.retry", run: run.id });
  }

  /** Goes on where the run ended before its time. */
  goOn(run: Run): boolean {
    return this.connection.send({ type: "run.continue", run: run.id });
  }

  /** The same instruction by the larger model, on the same lines; what stands stays. */
  deeper(run: Run): boolean {
    return this.connection.send({ type: "run.retry", run: run.id, engine: "deep" });
  }

  /** The model that is asked for more than the usual one gives; null where the server has none. */
  get deep(): Model | null {
    return this.#engines?.deep ?? null;
  }

  #learn(engines: Engines): void {
    this.#engines = engines;
    this.emit("engines", []);
  }

  #take({ run: id, outcome, ...card }: Card): void {
    const missing: Partial<Run> = { engine: "fast", chain: [], retries: null, notes: [], saw: [], text: "" };
    this.#change(id, { ...missing, ...card, state: outcome, stopping: false });
  }

  #change(id: string, change: Partial<Run>): void {
    const known = this.#runs.get(id);
    const run = known ?? blank(id);
    this.#runs.set(id, run);
    const marked = marks(run);
    Object.assign(run, change);
    if (!known && isLive(run)) this.emit("begin", [run]);
    this.emit("change", [run]);
    if (marked !== marks(run)) this.emit("regions", []);
  }

  #hold(id: string, regions: Region[]): void {
    const run = this.#runs.get(id);
    const text = run && this.files.text(run.file);
    if (run?.mode === "edit" && text) this.#change(id, { regions: regions.map((region) => stick(text, region)) });
  }

  /** What was live on a lost connection is told again after the welcome, if it still is. */
  #forgetLive(): void {
    for (const run of this.live()) this.#runs.delete(run.id);
    this.emit("reset", []);
    this.emit("regions", []);
  }
}

/** What is marked in the text because of it. */
function marks(run: Run): Sticky[] | null {
  return isLive(run) && run.regions.length > 0 ? run.regions : null;
}

/** One of which nothing is known yet. */
function blank(id: string): Run {
  return {
    id,
    by: { participant: "", name: "", color: "" },
    file: "",
    path: "",
    instruction: "",
    mode: "edit",
    engine: "fast",
    model: "",
    continues: null,
    chain: [],
    retries: null,
    state: "queued",
    position: 0,
    behind: null,
    since: Date.now(),
    stopping: false,
    regions: [],
    lines: null,
    places: null,
    notes: [],
    saw: [],
    reason: null,
    text: "",
    diff: [],
    tokens: 0,
    ttft_ms: null,
    tokens_per_s: null,
    undone: false,
    kept: false,
  };
}
