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
}

export interface Joined {
  role: Role;
  participant: string;
  name: string;
  color: string;
  title: string;
  links: { edit?: string; view?: string };
}

export interface NewFile {
  path: string;
  content: string;
}

async function post<T>(url: string, body: object): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Check the connection and try again.");
  }
  const data: unknown = await response.json().catch(() => null);
  if (response.ok && data !== null) return data as T;
  const error = (data as { error?: { code?: string; message?: string } } | null)?.error;
  throw new ApiError(
    response.status,
    error?.code ?? "unknown",
    error?.message ?? `The server answered ${response.status} without an explanation.`,
  );
}

export function createSession(files: NewFile[], title?: string): Promise<Created> {
  return post("/api/sessions", { ...(title ? { title } : {}), files });
}

/** Without a token the cookie of an earlier join counts. */
export function joinSession(id: string, name: string, token: string | null): Promise<Joined> {
  return post(`/api/sessions/${id}/join`, { name, ...(token ? { token } : {}) });
}

export function detectLanguage(path: string, content: string): Promise<{ language: string; extension: string }> {
  return post("/api/languages", { path, content: content.slice(0, 4096) });
}

export function qrUrl(id: string, role: "edit" | "view"): string {
  return `/api/sessions/${id}/qr.svg?role=${role}`;
}

export function exportUrl(id: string): string {
  return `/api/sessions/${id}/export.zip`;
}

export function fileUrl(id: string, path: string): string {
  return `/api/sessions/${id}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
}
