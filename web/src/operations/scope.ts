// Which sections a token may use; a section without its scope says so and asks the server nothing.

import { element, fill } from "../parts/dom";
import type { WhoAmI } from "../wire/shapes";

export type Operation = "reindex" | "quarantine" | "sources" | "quality";

export function may(caller: WhoAmI, operation: Operation): boolean {
  return caller.operations.includes(operation);
}

export function showMissingScope(body: HTMLElement, operation: Operation): void {
  fill(
    body,
    element("p", { class: "muted" }, "This token has no scope for this section: it needs ", element("code", {}, operation), "."),
  );
}
