// The patient at a glance: each line with its age, and a way to where it comes from.

import { showProblem } from "../parts/alert";
import { button, byId, element, fill } from "../parts/dom";
import { freshnessBadge } from "../parts/freshness_badge";
import { path, type Client } from "../wire/client";
import { isAbort } from "../wire/problem";
import { CONTEXT_LISTS, type ContextLine, type ContextList, type PatientContext } from "../wire/shapes";
import { ageWords } from "../words/times";

const TITLES: Record<ContextList, string> = {
  demographics: "Demographics",
  problems: "Problems",
  medications: "Medications",
  allergies: "Allergies",
  results: "Recent results",
  contacts: "Contacts",
  appointments: "Next appointments",
};

const SHOWN = 6;

export type OpenLine = (line: ContextLine, opener: HTMLElement) => void;

export class ContextArea {
  private readonly root = byId("context", HTMLElement);
  private readonly body = byId("context-body", HTMLElement);
  private request = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly alert: HTMLElement,
    private readonly openLine: OpenLine,
  ) {}

  async about(patient: string | null): Promise<void> {
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    this.root.hidden = patient === null;
    fill(this.body, element("p", { class: "muted" }, "Loading…"));
    if (patient === null) return;
    try {
      const context = await this.client.read<PatientContext>(path(["patients", patient, "context"]), signal);
      if (!signal.aborted) this.show(context);
    } catch (error) {
      if (isAbort(error)) return;
      fill(this.body, element("p", { class: "muted" }, "The context could not be loaded."));
      showProblem(this.alert, error);
    }
  }

  private show(context: PatientContext): void {
    const lists = CONTEXT_LISTS.map((list) => this.list(list, context));
    fill(this.body, ...lists, freshnessBadge(context.freshness));
  }

  private list(list: ContextList, context: PatientContext): HTMLElement {
    const lines = context[list] ?? [];
    const rest = lines.slice(SHOWN).map((line) => this.line(line));
    const items = element("ul", { class: "lines" }, ...lines.slice(0, SHOWN).map((line) => this.line(line)));
    const more: HTMLButtonElement = button(`Show ${rest.length} more`, { class: "link small" }, () => {
      items.append(...rest);
      more.remove();
      rest[0]?.querySelector("button")?.focus();
    });
    const empty = context.omitted.includes(list) ? "Your token may not see these." : "None on record.";
    return element(
      "section",
      { class: "context-list" },
      element("h3", {}, TITLES[list]),
      lines.length === 0 ? element("p", { class: "muted small" }, empty) : items,
      rest.length > 0 && more,
    );
  }

  private line(line: ContextLine): HTMLElement {
    const open: HTMLButtonElement = button("", { class: "line" }, () => this.openLine(line, open));
    open.append(
      element("span", {}, line.text),
      element("span", { class: "muted small" }, `${ageWords(line.age_s, line.age)} · ${line.source}`),
    );
    return element("li", {}, open);
  }
}
