// Shows the document behind a citation, with the cited bytes marked and in view.

import { clearProblem, showProblem } from "../parts/alert";
import { button, byId, element, fill } from "../parts/dom";
import { save } from "../parts/download";
import { facts, moment, note } from "../parts/labels";
import { path, type Client } from "../wire/client";
import { isAbort } from "../wire/problem";
import type { Span, StoredDocument } from "../wire/shapes";
import { codeWords } from "../words/codes";
import { sectionAt, splitAtSpan } from "../words/spans";
import { ageWords, OLD_AFTER_S } from "../words/times";

/** A place in one version of one document. `quote` is what it is said to hold, where known. */
export interface SourcePlace {
  document: string;
  version: number;
  span: Span;
  section: string | null;
  quote: string | null;
}

const NARROW = window.matchMedia("(max-width: 900px)");

export class SourcePanel {
  private readonly panel = byId("source", HTMLElement);
  private readonly title = byId("source-title", HTMLElement);
  private readonly body = byId("source-body", HTMLElement);
  private readonly closing = byId("source-close", HTMLButtonElement);
  private readonly empty = Array.from(this.body.children);
  private request = new AbortController();
  private opener: HTMLElement | null = null;

  constructor(
    private readonly client: Client,
    private readonly alert: HTMLElement,
  ) {
    this.closing.addEventListener("click", () => this.close());
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    NARROW.addEventListener("change", () => this.coverRest());
  }

  async open(place: SourcePlace, opener: HTMLElement): Promise<void> {
    this.opener = opener;
    await this.load(place.document, place.version, place);
  }

  /** Empties the panel without moving the focus, as when the patient changes. */
  clear(): void {
    this.request.abort();
    fill(this.title, "Source");
    fill(this.body, ...this.empty);
    this.closing.hidden = true;
    this.panel.classList.remove("open");
    this.opener = null;
    this.coverRest();
  }

  private close(): void {
    const opener = this.opener;
    this.clear();
    if (opener?.isConnected) opener.focus();
  }

  private async load(document: string, version: number | null, place: SourcePlace | null): Promise<void> {
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    clearProblem(this.alert);
    fill(this.title, "Loading…");
    fill(this.body);
    this.closing.hidden = false;
    this.panel.classList.add("open");
    this.coverRest();
    try {
      const stored = await this.client.read<StoredDocument>(path(["documents", document], { version }), signal);
      if (!signal.aborted) this.show(stored, place);
    } catch (error) {
      if (isAbort(error)) return;
      fill(this.title, "Source");
      fill(this.body, element("p", { class: "muted" }, "The source could not be shown."));
      showProblem(this.alert, error);
      if (NARROW.matches) this.close();
    }
  }

  private show(stored: StoredDocument, place: SourcePlace | null): void {
    const split = place === null ? null : splitAtSpan(stored.text, place.span);
    const mark = split === null ? null : element("mark", { id: "cited" }, split.marked);
    const text = element("div", { class: "document-text", tabindex: 0, role: "region", "aria-label": "Document text" });
    if (split === null) text.append(stored.text);
    else text.append(split.before, mark ?? "", split.after);
    fill(this.title, stored.title);
    fill(
      this.body,
      ...this.warnings(stored),
      place !== null && split === null && note("bad", "The cited place doesn't fit this text, so nothing is marked."),
      split !== null && differs(split.marked, place) && note("bad", "The marked text differs from the quoted text."),
      summary(stored, place),
      text,
      provenance(stored),
      button("Download the record as it came", {}, () => void this.download(stored)),
    );
    this.title.focus({ preventScroll: true });
    bringIntoView(text, mark);
  }

  private warnings(stored: StoredDocument): HTMLElement[] {
    const found: HTMLElement[] = [];
    if (!stored.latest) {
      const latest = button("Show the latest version", { class: "link" }, () => void this.load(stored.document, null, null));
      found.push(note("caution", "This is not the latest version of the document. ", latest));
    }
    if (stored.age_s >= OLD_AFTER_S) {
      found.push(note("caution", `This document is ${ageWords(stored.age_s, stored.age)}. Check that it still holds.`));
    }
    return found;
  }

  private async download(stored: StoredDocument): Promise<void> {
    try {
      const bytes = await this.client.bytes(
        path(["documents", stored.document, "original"], { version: stored.version }),
      );
      save(bytes, `${stored.document}-v${stored.version}`.replace(/[^\w.-]+/g, "_"));
    } catch (error) {
      showProblem(this.alert, error);
    }
  }

  /** On a narrow screen the open panel covers the page, so nothing behind it may take the focus. */
  private coverRest(): void {
    const covering = NARROW.matches && this.panel.classList.contains("open");
    for (const sibling of Array.from(this.panel.parentElement?.children ?? [])) {
      if (sibling !== this.panel) sibling.toggleAttribute("inert", covering);
    }
    document.querySelector("header")?.toggleAttribute("inert", covering);
  }
}

function differs(marked: string, place: SourcePlace | null): boolean {
  return place !== null && place.quote !== null && place.quote !== marked;
}

/** Scrolls the text alone to the mark, then the page no further than needed to see the text. */
function bringIntoView(text: HTMLElement, mark: HTMLElement | null): void {
  if (mark) {
    const above = mark.getBoundingClientRect().top - text.getBoundingClientRect().top;
    text.scrollTop += above - Math.max(0, (text.clientHeight - mark.offsetHeight) / 2);
  }
  text.scrollIntoView({ block: "nearest" });
}

function summary(stored: StoredDocument, place: SourcePlace | null): HTMLElement {
  const section = place === null ? null : (place.section ?? sectionAt(stored.sections, place.span));
  return facts([
    ["Age", element("strong", { class: "age" }, ageWords(stored.age_s, stored.age))],
    ["Kind", codeWords(stored.kind)],
    ["Source", stored.source],
    ["Section", section],
  ]);
}

function provenance(stored: StoredDocument): HTMLElement {
  return facts([
    ["Effective", moment(stored.times.effective)],
    ["Source time", moment(stored.times.source)],
    ["Received", moment(stored.times.received)],
    ["Version", `${stored.version}${stored.latest ? " (latest)" : " (not the latest)"}`],
    ["Status", stored.status],
    ["Author", stored.author],
    ["Encounter", stored.encounter],
    ["Record type", stored.resource_type],
  ]);
}
