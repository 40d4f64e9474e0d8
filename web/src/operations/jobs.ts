// Background jobs: followed while any of them moves, started and cancelled here.

import { button, byId, element, fill } from "../parts/dom";
import { badge, momentAgo } from "../parts/labels";
import { row, table } from "../parts/table";
import { path, type Client } from "../wire/client";
import { asProblem } from "../wire/problem";
import type { Job } from "../wire/shapes";
import { isActive, progressWords, targetWords } from "./progress";
import type { Section } from "./section";

const COLUMNS = ["Target", "State", "Progress", "Started", "Ended", "Actions"];
const POLL_MS = 2000;

export class Jobs {
  private timer: number | undefined;
  private wasActive = false;

  constructor(
    private readonly client: Client,
    private readonly section: Section,
    private readonly settled: () => void,
  ) {}

  begin(): void {
    const dialog = byId("confirm", HTMLDialogElement);
    const reindex = button("Reindex all…", { id: "reindex" }, () => {
      dialog.returnValue = "no";
      dialog.showModal();
    });
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "yes") void this.section.attempt(() => this.reindexAll());
    });
    fill(this.section.actions, reindex);
  }

  async show(): Promise<void> {
    await this.section.attempt(() => this.load());
  }

  private async load(): Promise<void> {
    clearTimeout(this.timer);
    const { jobs } = await this.client.read<{ jobs: Job[] }>("/v1/admin/jobs").catch((error: unknown) => {
      // A server that restarts under a running job comes back; a refused token does not.
      if (this.wasActive && asProblem(error).status !== 401) this.pollLater();
      throw error;
    });
    this.draw(jobs);
    const active = jobs.some(isActive);
    if (active) this.pollLater();
    if (this.wasActive && !active) this.settled();
    this.wasActive = active;
  }

  private pollLater(): void {
    this.timer = setTimeout(() => void this.show(), POLL_MS);
  }

  private draw(jobs: Job[]): void {
    if (jobs.length === 0) {
      fill(this.section.body, element("p", { class: "muted" }, "No job has run yet."));
      return;
    }
    const focused = document.activeElement?.getAttribute("data-job") ?? null;
    fill(this.section.body, table("Jobs", COLUMNS, jobs.map((job) => this.row(job))));
    const buttons = Array.from(this.section.body.querySelectorAll<HTMLButtonElement>("[data-job]"));
    // Redrawing every poll must not throw the keyboard out of the table.
    buttons.find((made) => made.getAttribute("data-job") === focused)?.focus();
  }

  private row(job: Job): HTMLTableRowElement {
    const cancel = button("Cancel", { "data-job": job.id, "aria-label": `Cancel reindexing ${targetWords(job)}` }, () => {
      void this.section.attempt(() => this.cancel(job));
    });
    return row(COLUMNS, [
      element("strong", {}, targetWords(job)),
      badge(job.state),
      progress(job),
      momentAgo(job.created_at),
      job.ended_at === null ? element("span", { class: "muted" }, "not yet") : momentAgo(job.ended_at),
      isActive(job) ? cancel : null,
    ]);
  }

  private async cancel(job: Job): Promise<void> {
    await this.client.send(path(["admin", "jobs", job.id, "cancel"]));
    this.section.tell("The job was asked to stop.");
    await this.load();
  }

  private async reindexAll(): Promise<void> {
    await this.client.send<Job>("/v1/admin/reindex", { scope: "all" });
    this.section.tell("Reindexing has been queued.");
    await this.load();
  }
}

function progress(job: Job): HTMLElement {
  const known = job.total > 0;
  const bar = element("progress", {
    "aria-label": `Progress of ${targetWords(job)}`,
    max: known ? job.total : null,
    value: known ? Math.min(job.done, job.total) : isActive(job) ? null : 0,
  });
  return element(
    "div",
    { class: "progress" },
    bar,
    element("span", { class: "small" }, progressWords(job)),
    job.error !== null && element("span", { class: "small bad" }, job.error),
  );
}
