// Talks to the API with the bearer token; every failure comes out as a Problem.

import { Problem, isAbort, problemFrom, unreachable } from "./problem";

interface Ask {
  method?: "GET" | "POST";
  body?: unknown;
  accept?: string;
  signal?: AbortSignal | undefined;
}

export class Client {
  /** `refused` hears of every 401, so that the page can ask for another token. */
  constructor(
    private readonly token: string,
    private readonly refused: (problem: Problem) => void,
  ) {}

  async read<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await parse(await this.ask(path, { signal }))) as T;
  }

  async send<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    return (await parse(await this.ask(path, { method: "POST", body, signal }))) as T;
  }

  async bytes(path: string): Promise<Blob> {
    const response = await this.ask(path, { accept: "*/*" });
    return response.blob();
  }

  /** The response itself, already known to be a success; its body may be a stream. */
  async ask(path: string, { method = "GET", body, accept = "application/json", signal }: Ask): Promise<Response> {
    const headers: Record<string, string> = { Accept: accept, Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const request: RequestInit = { method, headers, cache: "no-store", credentials: "omit" };
    if (body !== undefined) request.body = JSON.stringify(body);
    if (signal) request.signal = signal;
    const response = await fetch(path, request).catch((error: unknown) => {
      throw isAbort(error) ? error : unreachable();
    });
    if (response.ok) return response;
    const problem = problemFrom(response.status, await response.json().catch(() => null));
    if (response.status === 401) this.refused(problem);
    throw problem;
  }
}

async function parse(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem(response.status, "unreadable", "The server's answer could not be read", null);
  }
}

/** A path of encoded segments and only those query values that are set. */
export function path(segments: string[], query: Record<string, string | number | null | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) search.set(name, String(value));
  }
  const route = `/v1/${segments.map(encodeURIComponent).join("/")}`;
  return search.size > 0 ? `${route}?${search}` : route;
}
