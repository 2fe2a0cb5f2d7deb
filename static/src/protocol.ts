// The messages of the WebSocket as the page sees them; `editor/messages.py` is the contract and says what each means.
// Positions are UTF-16 code units, as JavaScript counts them.

export const VERSION = 1;
export const INSTRUCTION_LIMIT = 4000;
export const NAME_LIMIT = 40;

export type Role = "host" | "editor" | "viewer";
export const ROLES: readonly Role[] = ["host", "editor", "viewer"];
export const ROLE_LABEL: Record<Role, string> = { host: "Host", editor: "Can edit", viewer: "Can view" };
export type Outcome = "done" | "stopped" | "steered" | "declined" | "failed";
export type Mode = "edit" | "ask";

export interface Selection {
  anchor: number;
  head: number;
}

export interface By {
  participant: string;
  name: string;
  color: string;
}

/** An earlier instruction of a chain. */
export interface Link {
  by: By;
  instruction: string;
}

export interface Region {
  from: number;
  to: number;
  first_line: number;
  last_line: number;
}

/** How many of a run's regions are done. */
export interface Places {
  done: number;
  of: number;
}

export interface Figures {
  tokens: number;
  ttft_ms: number | null;
  tokens_per_s: number | null;
}

export interface Participant extends By {
  role: Role;
  clients: number[];
}

/** What the host may change of a session, and what identifies its document. */
export interface SessionInfo {
  id: string;
  title: string;
  expires_at: string;
  lineage: string;
  viewers_may_stop: boolean;
  /** null: as suits the model. */
  drafts: boolean | null;
}

/** What comes in place of a range of the text. */
export interface TextEdit {
  from: number;
  to: number;
  text: string;
}

export interface DraftState {
  state: "on" | "off" | "paused";
  ms: number | null;
  bound_ms: number;
}

export interface Model {
  name: string;
  /** Asleep: it is loaded when it is first asked for. */
  state: "asleep" | "loading" | "ready" | "failed";
  detail: string;
  /** 0 to 1 of the loading; null while it is unknown. */
  progress: number | null;
}

/** Which model a run is given to: the usual one, or the second where there is one. */
export type EngineName = "fast" | "deep";
export type Engines = { fast: Model; deep?: Model };

export interface DiffLine {
  op: " " | "+" | "-" | "@";
  old: number | null;
  new: number | null;
  tokens: [css: string, text: string][];
}

/** Tokens that the model was shown of a file, of the tokens that the file has, and why. */
export interface Seen {
  path: string;
  tokens: number;
  of: number;
  why: string;
}

export interface Card extends Figures {
  run: string;
  by: By;
  file: string;
  path: string;
  instruction: string;
  mode: Mode;
  /** Missing on cards of earlier versions. */
  engine?: EngineName;
  model: string;
  continues: string | null;
  /** Missing on cards of earlier versions, as `retries`. */
  chain?: Link[];
  retries?: string | null;
  outcome: Outcome;
  reason: string | null;
  /** Cards of earlier versions have none. */
  notes?: string[];
  saw?: Seen[];
  /** The answer to a question. */
  text?: string;
  started_at: string;
  undone: boolean;
  kept: boolean;
  diff: DiffLine[];
}

export type ToServer =
  | { type: "hello"; version: number; name?: string; lineage?: string }
  | { type: "instruction.typed"; text: string; file: string; selection?: Selection; mode?: Mode }
  | {
      type: "run.start";
      instruction: string;
      file: string;
      selection?: Selection;
      mode?: Mode;
      variants?: number;
      engine?: EngineName;
    }
  | { type: "run.steer"; run: string; instruction: string }
  | { type: "run.stop"; run?: string }
  | { type: "run.undo" | "run.continue"; run: string }
  | { type: "run.retry"; run: string; engine?: "deep" }
  | { type: "run.keep"; run: string; variant?: number };

export type ToClient =
  | {
      type: "welcome";
      version: number;
      role: Role;
      participant: string;
      name: string;
      color: string;
      session: SessionInfo;
      model: Model;
      engines: Engines;
      limits: Record<string, number>;
      participants: Participant[];
      runs: Card[];
    }
  | { type: "participants"; participants: Participant[] }
  | { type: "session"; session: SessionInfo }
  | { type: "role"; role: Role }
  | { type: "instruction.typed"; participant: string; name: string; color: string; text: string; file: string }
  | { type: "instruction.region"; file: string; regions: Region[] }
  | { type: "model"; model: Model }
  | { type: "engines"; engines: Engines }
  | ({ type: "drafts" } & DraftState)
  | {
      type: "draft.shown";
      id: string;
      by: By;
      file: string;
      instruction: string;
      region: Region;
      check: number;
      edits: TextEdit[];
    }
  | { type: "draft.gone"; participant: string; why: string }
  | {
      type: "variants.started";
      run: string;
      by: By;
      file: string;
      instruction: string;
      chain: Link[];
      count: number;
      model: string;
      region: Region | null;
      position: number;
      reason: string;
      changed: "" | "typed" | "rewritten";
      unsure: boolean;
    }
  | ({
      type: "variants.shown";
      run: string;
      variant: number;
      state: "streaming" | "done" | "same" | "declined" | "failed";
      same_as: number | null;
      reason: string;
      diff: DiffLine[];
      check: number;
      edits: TextEdit[];
    } & Figures)
  | {
      type: "variants.gone";
      run: string;
      outcome: "taken" | "dropped" | "steered" | "failed";
      by: By;
      variant: number | null;
      taken: string | null;
      reason: string;
    }
  | { type: "saved"; client: number | null; clock: number; updates: number }
  | { type: "storage"; state: "ok" | "failing"; message: string }
  | {
      type: "run.queued";
      run: string;
      position: number;
      reason: string;
      behind: string | null;
      by: By;
      instruction: string;
      file: string;
      mode: Mode;
      engine: EngineName;
      continues: string | null;
      chain: Link[];
      retries: string | null;
    }
  | {
      type: "run.started";
      run: string;
      by: By;
      file: string;
      region: Region;
      regions: Region[];
      instruction: string;
      mode: Mode;
      engine: EngineName;
      model: string;
      continues: string | null;
      chain: Link[];
      retries: string | null;
      saw: Seen[];
      notes: string[];
    }
  | ({ type: "run.progress"; run: string; places: Places } & Figures)
  | { type: "run.text"; run: string; text: string }
  | ({ type: "run.finished"; run: string; outcome: Outcome; reason?: string | null } & Figures)
  | ({ type: "run.card" } & Card)
  | { type: "error"; code: string; message: string; run?: string };

export type Message<T extends ToClient["type"]> = Extract<ToClient, { type: T }>;

export const OTHER_LINEAGE = 4409;

/** What a person is told when a host has changed their role. */
export function roleSentence(role: Role, before: Role): string {
  if (role === "host") return "You are a host now: you can manage people, links and the session.";
  if (role === "viewer") return "A host changed your role: you can view, but not edit or ask the model any more.";
  if (before === "host") return "You are not a host any more. You can still edit and ask the model.";
  return "A host changed your role: you can edit now, and ask the model.";
}

// Close codes 4400-4499 are final; what each means for the person looking at the page, and what to do.
const CLOSED: Record<number, [title: string, sentence: string]> = {
  4400: [
    "The connection was closed",
    "This page sent something the server could not read, so the connection was closed. Open the session again.",
  ],
  4401: ["You are not signed in", "This browser is no longer signed in to the session. Open the session’s link again."],
  4403: [
    "You were removed",
    "A host removed you from this session, or this page may not connect to it. To come back, ask a host.",
  ],
  4404: ["This session has ended", "This session has ended, and the server holds nothing of it any more."],
  4409: [
    "The session’s text was replaced",
    "The server’s text was replaced, by a restored backup say, and yours is of another beginning: the two cannot be merged. Take along what you need from here, then open the session again.",
  ],
  4410: [
    "Your link was replaced",
    "A host replaced the link you joined with. Ask for the new one and open it: you come back as who you were.",
  ],
  4413: ["The connection was closed", "A change was larger than the server accepts, so the connection was closed."],
  4429: [
    "The session is full",
    "The session has as many participants as the limit allows. Try again when somebody has left.",
  ],
  4430: [
    "Too many tabs",
    "You have this session open in as many tabs as the server allows. Close one of them, then open the session here again.",
  ],
};

export function isFinal(code: number): boolean {
  return code >= 4400 && code <= 4499;
}

export function closeSentence(code: number): string {
  return CLOSED[code]?.[1] ?? `The server closed the connection for good (code ${code}).`;
}

export function closeTitle(code: number): string {
  return CLOSED[code]?.[0] ?? "The connection was closed";
}
