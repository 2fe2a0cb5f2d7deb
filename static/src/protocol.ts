// The messages of the WebSocket as the page sees them; `editor/protocol.py` is the contract and says what each means.
// Positions are UTF-16 code units, as JavaScript counts them.

export const VERSION = 1;
export const INSTRUCTION_LIMIT = 4000;
export const NAME_LIMIT = 40;

export type Role = "host" | "editor" | "viewer";
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

export interface Region {
  from: number;
  to: number;
  first_line: number;
  last_line: number;
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

export interface Model {
  name: string;
  state: "loading" | "ready" | "failed";
  detail: string;
}

export interface DiffLine {
  op: " " | "+" | "-" | "@";
  old: number | null;
  new: number | null;
  tokens: [css: string, text: string][];
}

export interface Card extends Figures {
  run: string;
  by: By;
  file: string;
  path: string;
  instruction: string;
  mode: Mode;
  model: string;
  continues: string | null;
  outcome: Outcome;
  reason: string | null;
  started_at: string;
  undone: boolean;
  kept: boolean;
  diff: DiffLine[];
}

export type ToServer =
  | { type: "hello"; version: number; name?: string }
  | { type: "instruction.typed"; text: string; file: string; selection?: Selection }
  | { type: "run.start"; instruction: string; file: string; selection?: Selection; mode?: Mode; variants?: number }
  | { type: "run.steer"; run: string; instruction: string }
  | { type: "run.stop"; run?: string }
  | { type: "run.undo"; run: string }
  | { type: "run.keep"; run: string; variant?: number };

export type ToClient =
  | {
      type: "welcome";
      version: number;
      role: Role;
      participant: string;
      name: string;
      color: string;
      session: { id: string; title: string; expires_at: string };
      model: Model;
      limits: Record<string, number>;
      participants: Participant[];
      runs: Card[];
    }
  | { type: "participants"; participants: Participant[] }
  | { type: "instruction.typed"; participant: string; name: string; color: string; text: string; file: string }
  | { type: "model"; model: Model }
  | { type: "saved"; clock: number; updates: number }
  | { type: "storage"; state: "ok" | "failing"; message: string }
  | { type: "run.queued"; run: string; position: number; by: By; instruction: string; file: string }
  | {
      type: "run.started";
      run: string;
      by: By;
      file: string;
      region: Region;
      instruction: string;
      mode: Mode;
      model: string;
      continues: string | null;
      notes: string[];
    }
  | ({ type: "run.progress"; run: string } & Figures)
  | { type: "run.text"; run: string; text: string }
  | ({ type: "run.finished"; run: string; outcome: Outcome; reason?: string | null } & Figures)
  | ({ type: "run.card" } & Card)
  | { type: "error"; code: string; message: string; run?: string };

export type Message<T extends ToClient["type"]> = Extract<ToClient, { type: T }>;

// Close codes 4400-4499 are final; what each means for the person looking at the page.
const CLOSED: Record<number, string> = {
  4400: "This page sent something the server could not read, so the connection was closed.",
  4401: "This browser is no longer signed in to the session. Open the session's link again.",
  4403: "You were removed from this session, or this page may not connect to it.",
  4404: "This session has ended.",
  4410: "The link you joined with was replaced. Ask for the new one.",
  4413: "A change was larger than the server accepts, so the connection was closed.",
  4429: "The session is full: it has as many participants as the limit allows.",
};

export function isFinal(code: number): boolean {
  return code >= 4400 && code <= 4499;
}

export function closeSentence(code: number): string {
  return CLOSED[code] ?? `The server closed the connection for good (code ${code}).`;
}
