// Shows one answer as it streams in: sentences, their citations, how it ended, and on what.

import { button, byId, element, fill } from "../parts/dom";
import { freshnessBadge } from "../parts/freshness_badge";
import { note } from "../parts/labels";
import type { AnswerEnd, Citation, Sentence } from "../wire/shapes";
import { abstentionWords, codeWords } from "../words/codes";
import { ageWords, OLD_AFTER_S, timeWords } from "../words/times";

export type OpenCitation = (citation: Citation, opener: HTMLElement) => void;

export class AnswerView {
  private readonly root = byId("answer", HTMLElement);
  private readonly sentences = byId("sentences", HTMLOListElement);
  private readonly state = byId("answer-state", HTMLElement);
  private readonly sources = byId("answer-sources", HTMLElement);
  private readonly freshness = byId("answer-freshness", HTMLElement);
  private readonly listed = new Map<number, Citation>();

  constructor(private readonly openCitation: OpenCitation) {}

  begin(question: string, patient: string | null): void {
    this.clear();
    this.root.hidden = false;
    const about = patient === null ? "no patient chosen" : patient;
    fill(byId("answer-question", HTMLElement), element("span", {}, question), element("span", { class: "muted" }, about));
    this.tell(element("p", { class: "muted waiting" }, "Reading the records…"));
  }

  clear(): void {
    this.root.hidden = true;
    this.listed.clear();
    for (const part of [this.sentences, this.state, this.sources, this.freshness]) fill(part);
  }

  add(sentence: Sentence): void {
    const numbers = sentence.citations.map((citation) => this.reference(citation));
    this.sentences.append(
      element(
        "li",
        {},
        element("span", { class: "sentence" }, sentence.text),
        element("span", { class: "numbers" }, ...numbers),
        numbers.length === 0 && sentence.check !== "not_needed" && element("span", { class: "muted small" }, "no citation"),
      ),
    );
    for (const citation of sentence.citations) this.list(citation);
  }

  end({ status, reason, freshness }: AnswerEnd): void {
    fill(this.freshness, freshnessBadge(freshness));
    if (status === "abstained") {
      this.tell(note("caution", element("strong", {}, "No answer given. "), abstentionWords(reason)));
    } else if (status === "partial") {
      this.tell(note("caution", element("strong", {}, "Not all of it. "), abstentionWords(reason)));
    } else {
      this.tell(element("p", { class: "visually-hidden" }, "The answer is complete."));
    }
  }

  interrupted(words: string): void {
    this.tell(note("caution", words));
  }

  private tell(words: HTMLElement): void {
    fill(this.state, words);
  }

  private reference(citation: Citation): HTMLElement {
    const label = `Citation ${citation.number}: ${citation.title}, ${ageWords(citation.age_s, citation.age)}`;
    const made: HTMLButtonElement = button(String(citation.number), { class: "citation", "aria-label": label }, () =>
      this.openCitation(citation, made),
    );
    return made;
  }

  private list(citation: Citation): void {
    if (this.listed.has(citation.number)) return;
    this.listed.set(citation.number, citation);
    if (this.listed.size === 1) {
      fill(this.sources, element("h3", {}, "Sources"), element("ul", { class: "source-list" }));
    }
    this.sources.querySelector("ul")?.append(this.entry(citation));
  }

  private entry(citation: Citation): HTMLElement {
    const title = citation.section === null ? citation.title : `${citation.title}, ${citation.section}`;
    const when = citation.times.effective ?? citation.times.source ?? citation.times.received;
    const old = citation.age_s >= OLD_AFTER_S;
    const open: HTMLButtonElement = button(title, { class: "link" }, () => this.openCitation(citation, open));
    return element(
      "li",
      {},
      element("span", { class: "number", "aria-hidden": "true" }, String(citation.number)),
      element(
        "div",
        {},
        open,
        element(
          "p",
          { class: "muted small" },
          `${codeWords(citation.kind)} · ${citation.source} · ${timeWords(when)} · `,
          element("span", { class: old ? "age old" : "age" }, ageWords(citation.age_s, citation.age)),
        ),
        element("blockquote", {}, citation.quote),
      ),
    );
  }
}
