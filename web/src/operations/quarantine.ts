// Records that could not be read: why, and another try at each.

import { button, element } from "../parts/dom";
import { save } from "../parts/download";
import { badge, momentAgo } from "../parts/labels";
import { row } from "../parts/table";
import { path, type Client } from "../wire/client";
import type { QuarantineItem, QuarantinePage, ReplayResult } from "../wire/shapes";
import { codeWords, sizeWords } from "../words/codes";
import { showFirstPage } from "./pages";
import type { Section } from "./section";

const COLUMNS = ["Reason", "Source", "Detail", "Size", "When", "State", "Actions"];
const PAGE_SIZE = 25;

export class Quarantine {
  constructor(
    private readonly client: Client,
    private readonly section: Section,
  ) {}

  async show(): Promise<void> {
    await this.section.attempt(() =>
      showFirstPage<QuarantineItem>(this.section, {
        caption: "Quarantined records",
        columns: COLUMNS,
        empty: "Nothing is in quarantine.",
        fetch: (cursor) =>
          this.client.read<QuarantinePage>(path(["admin", "quarantine"], { limit: PAGE_SIZE, cursor })),
        row: (item) => this.row(item),
      }),
    );
  }

  private row(item: QuarantineItem): HTMLTableRowElement {
    const made: HTMLTableRowElement = row(COLUMNS, [
      element("strong", {}, codeWords(item.reason)),
      item.source,
      item.detail ?? element("span", { class: "muted" }, "none"),
      sizeWords(item.bytes),
      momentAgo(item.quarantined_at),
      badge(item.state),
      this.actions(item, () => made),
    ]);
    return made;
  }

  private actions(item: QuarantineItem, shown: () => HTMLTableRowElement): HTMLElement {
    const replay: HTMLButtonElement = button("Replay", { "aria-label": `Replay ${codeWords(item.reason)} from ${item.source}` }, () => {
      replay.disabled = true;
      void this.section.attempt(() => this.replay(item, shown()).finally(() => (replay.disabled = false)));
    });
    const bytes = button("Bytes", { class: "quiet", "aria-label": `Download the bytes of ${item.id}` }, () => {
      void this.section.attempt(async () =>
        save(await this.client.bytes(path(["admin", "quarantine", item.id, "bytes"])), `quarantine-${item.id}`),
      );
    });
    return element("div", { class: "actions" }, item.state === "held" && replay, bytes);
  }

  private async replay(item: QuarantineItem, shown: HTMLTableRowElement): Promise<void> {
    const result = await this.client.send<ReplayResult>(path(["admin", "quarantine", item.id, "replay"]));
    const next = this.row({ ...item, state: result.state, reason: result.reason ?? item.reason });
    shown.replaceWith(next);
    next.querySelector("button")?.focus();
    const why = result.reason === null ? "" : `: ${codeWords(result.reason)}`;
    this.section.tell(
      result.state === "replayed" ? `The record from ${item.source} was replayed.` : `The record is still held${why}.`,
    );
  }
}
