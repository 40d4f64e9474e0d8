// Small labelled pieces both pages use: badges, times, rows of facts.

import { element, type Child } from "./dom";
import { codeWords } from "../words/codes";
import { agoWords, timeWords } from "../words/times";

export type Tone = "good" | "caution" | "bad" | "plain";

const TONES: Record<string, Tone> = {
  fresh: "good",
  done: "good",
  replayed: "good",
  aging: "caution",
  held: "caution",
  warning: "caution",
  stale: "bad",
  failed: "bad",
  error: "bad",
};

/** A code with its colour; the word alone carries the meaning. */
export function badge(code: string): HTMLElement {
  return element("span", { class: `badge badge-${TONES[code] ?? "plain"}` }, codeWords(code));
}

export function moment(time: string | null): HTMLElement {
  if (time === null) return element("span", { class: "muted" }, "not known");
  return element("time", { datetime: time }, timeWords(time));
}

export function momentAgo(time: string | null): HTMLElement {
  if (time === null) return element("span", { class: "muted" }, "never");
  return element("span", {}, moment(time), " ", element("span", { class: "muted" }, `(${agoWords(time, Date.now())})`));
}

/** Term and description pairs; a pair without a description is left out. */
export function facts(pairs: [term: string, description: Child][]): HTMLElement {
  const known = pairs.filter(([, description]) => description !== null && description !== "");
  return element(
    "dl",
    { class: "facts" },
    ...known.map(([term, description]) =>
      element("div", {}, element("dt", {}, term), element("dd", {}, description)),
    ),
  );
}

export function note(tone: Tone, ...children: Child[]): HTMLElement {
  return element("p", { class: `note note-${tone}` }, ...children);
}
