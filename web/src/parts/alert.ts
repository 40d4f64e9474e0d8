// Shows problems in a page's alert region, so that a screen reader hears them at once.

import { element, fill } from "./dom";
import { asProblem, isAbort } from "../wire/problem";

/** Aborted requests are the reader's own doing and show nothing. */
export function showProblem(region: HTMLElement, error: unknown): void {
  if (isAbort(error)) return;
  const problem = asProblem(error);
  fill(
    region,
    element(
      "div",
      { class: "note note-bad" },
      element("strong", {}, problem.title),
      problem.detail !== null && element("span", {}, problem.detail),
      problem.requestId !== null && element("small", { class: "muted" }, `Request ${problem.requestId}`),
    ),
  );
}

export function clearProblem(region: HTMLElement): void {
  fill(region);
}
