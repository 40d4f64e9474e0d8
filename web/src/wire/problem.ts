// What went wrong with a request, in words fit to show: a problem+json body or its stand-in.

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string | null,
    readonly requestId: string | null = null,
  ) {
    super(title);
  }
}

/** Reads a problem out of any parsed body; what is missing falls back to the status. */
export function problemFrom(status: number, body: unknown): Problem {
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = (name: string): string | null => {
    const value = fields[name];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const stated = fields["status"];
  const code = typeof stated === "number" ? stated : status;
  return new Problem(
    code,
    text("code") ?? "unknown",
    text("title") ?? `The server answered with status ${code}`,
    text("detail"),
    text("request_id"),
  );
}

export function unreachable(): Problem {
  return new Problem(0, "unreachable", "The server can't be reached", "Check the connection and try again.");
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Any thrown value as a problem; a fault of the page itself is named as one. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "page", "This page could not make sense of what it received", null);
}
