// The HTTP interface. Every refusal is an ApiError with the server's own sentence.
import type { Role } from "./protocol";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Created {
  id: string;
  expires_at: string;
  links: { edit: string; view: string };
  tokens: { host: string };
}

export interface Links {
  edit?: string;
  view?: string;
}

export interface Joined {
  role: Role;
  participant: string;
  name: string;
  color: string;
  title: string;
  links: Links;
}

/** Somebody who has joined and may come back, as a host is told. */
export interface Guest {
  participant: string;
  name: string;
  color: string;
  role: Role;
  here: boolean;
  joined_at: string;
}

export interface Author {
  client: number;
  clock: number;
  participant: string;
  run: string;
  name: string;
  color: string;
}

export interface SegmentInfo {
  id: string;
  from: number;
  to: number;
  updates: number;
  bytes: number;
}

export interface Overview {
  segments: SegmentInfo[];
  authors: Author[];
}

export interface NewFile {
  path: string;
  content: string;
}

async function request(method: string, url: string, body?: object, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      ...(body ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Check the connection and try again.");
  }
  if (response.ok) return response;
  const data: unknown = await response.json().catch(() => null);
  const error = (data as { error?: { code?: string; message?: string } } | null)?.error;
  throw new ApiError(
    response.status,
    error?.code ?? "unknown",
    error?.message ?? `The server answered ${response.status} without an explanation.`,
  );
}

async function json<T>(method: string, url: string, body?: object, signal?: AbortSignal): Promise<T> {
  const response = await request(method, url, body, signal);
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(response.status, "unknown", "The server’s answer could not be read.");
  }
}

function post<T>(url: string, body: object, signal?: AbortSignal): Promise<T> {
  return json("POST", url, body, signal);
}

export function createSession(files: NewFile[], title?: string): Promise<Created> {
  return post("/api/sessions", { ...(title ? { title } : {}), files });
}

/** Without a token the cookie of an earlier join counts. */
export function joinSession(id: string, name: string, token: string | null, signal?: AbortSignal): Promise<Joined> {
  return post(`/api/sessions/${id}/join`, { name, ...(token ? { token } : {}) }, signal);
}

export function detectLanguage(path: string, content: string): Promise<{ language: string; extension: string }> {
  return post("/api/languages", { path, content: content.slice(0, 4096) });
}

/** The links that this person may share now; the cookie says who asks. */
export async function currentLinks(id: string): Promise<Links> {
  return (await post<Joined>(`/api/sessions/${id}/join`, {})).links;
}

/** `version` is not looked at: a replaced link has another code, so it needs another address. */
export function qrUrl(id: string, role: "edit" | "view", version = 0): string {
  return `/api/sessions/${id}/qr.svg?role=${role}${version ? `&v=${version}` : ""}`;
}

/** All files as they stand, or as they were after an update of the history. */
export function exportUrl(id: string, version?: number): string {
  return `/api/sessions/${id}/export.zip${version === undefined ? "" : `?version=${version}`}`;
}

// What a host does.

export async function changeSession(
  id: string,
  changes: { title?: string; viewers_may_stop?: boolean; drafts?: boolean },
): Promise<void> {
  await request("PATCH", `/api/sessions/${id}`, changes);
}

export async function endSession(id: string): Promise<void> {
  await request("DELETE", `/api/sessions/${id}`);
}

export async function rotateLink(id: string, link: "host" | "edit" | "view"): Promise<string> {
  return (await post<{ link: string }>(`/api/sessions/${id}/links/${link}/rotate`, {})).link;
}

export async function listGuests(id: string): Promise<Guest[]> {
  return (await json<{ participants: Guest[] }>("GET", `/api/sessions/${id}/participants`)).participants;
}

export async function changeRole(id: string, participant: string, role: Role): Promise<void> {
  await request("PATCH", `/api/sessions/${id}/participants/${participant}`, { role });
}

export async function removeGuest(id: string, participant: string): Promise<void> {
  await request("DELETE", `/api/sessions/${id}/participants/${participant}`);
}

/** A model that is installed on the server; `fit` is null where its memory is not known, `own` is the built-in one. */
export interface InstalledModel {
  model: string;
  bytes: number;
  fit: "fits" | "tight" | "too large" | null;
  in_use: boolean;
  own: boolean;
}

/** One of the catalogue; `begun_bytes` have come of it already. */
export interface CatalogueModel {
  model: string;
  bytes: number;
  fit: InstalledModel["fit"];
  licence: string;
  good_for: string;
  begun_bytes: number;
}

export interface Download {
  model: string;
  state: "fetching" | "checking" | "done" | "failed" | "stopped";
  done: number;
  size: number;
  detail: string;
}

export interface Models {
  may_choose: boolean;
  models: InstalledModel[];
  to_install: CatalogueModel[];
  download: Download | null;
}

export function listModels(id: string): Promise<Models> {
  return json("GET", `/api/sessions/${id}/model`);
}

/** Begins to fetch it onto the server. */
export async function installModel(id: string, model: string): Promise<void> {
  await request("POST", `/api/sessions/${id}/model`, { model });
}

/** Stops its download, or removes it. */
export async function removeModel(id: string, model: string): Promise<void> {
  await request("DELETE", `/api/sessions/${id}/model`, { model });
}

/** For the whole server; what comes of it is told to everybody by the message `model`. */
export async function useModel(id: string, model: string): Promise<void> {
  await request("PUT", `/api/sessions/${id}/model`, { model });
}

// The history.

export function historyOverview(id: string): Promise<Overview> {
  return json("GET", `/api/sessions/${id}/history`);
}

export async function historySegment(id: string, segment: string): Promise<Uint8Array> {
  const response = await request("GET", `/api/sessions/${id}/history/${segment}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function fileUrl(id: string, path: string): string {
  return `/api/sessions/${id}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
}
