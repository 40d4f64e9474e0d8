// The index and the feeds: how far each is behind.

import { element, fill } from "../parts/dom";
import { badge, facts, momentAgo } from "../parts/labels";
import { row, table } from "../parts/table";
import type { Client } from "../wire/client";
import type { Feed, Freshness } from "../wire/shapes";
import { counted, delayWords, durationWords } from "../words/times";
import type { Section } from "./section";

const COLUMNS = ["Source", "Status", "Last received", "Age", "Lag", "Limits"];

export async function showFreshness(client: Client, index: Section, sources: Section): Promise<void> {
  await sources.attempt(async () => {
    const freshness = await client.read<Freshness>("/v1/freshness");
    fill(index.body, indexFacts(freshness));
    if (freshness.feeds.length === 0) {
      fill(sources.body, element("p", { class: "muted" }, "No source has sent anything yet."));
      return;
    }
    const rows = freshness.feeds.map(feedRow);
    const explained = "Age is the time since the source last sent anything. Lag is how much older its newest content was by then.";
    fill(sources.body, table("Sources", COLUMNS, rows), element("p", { class: "muted small" }, explained));
  });
}

function indexFacts(freshness: Freshness): HTMLElement {
  const { watermark, newest_change, lag_s } = freshness.index;
  return facts([
    ["Overall", badge(freshness.status)],
    ["Watermark", watermark?.toLocaleString("en") ?? "not shown"],
    ["Newest change", newest_change?.toLocaleString("en") ?? "not shown"],
    ["Lag", lag_s <= 0 ? "none" : durationWords(lag_s)],
    ["Waiting", counted(Math.max(0, (newest_change ?? 0) - (watermark ?? 0)), "change")],
  ]);
}

function feedRow(feed: Feed): HTMLTableRowElement {
  return row(COLUMNS, [
    element("strong", {}, feed.source),
    badge(feed.status),
    momentAgo(feed.last_received_at),
    feed.age_s === null ? unknown() : durationWords(feed.age_s),
    delayWords(feed.newest_source_time, feed.last_received_at) ?? unknown(),
    limits(feed),
  ]);
}

function limits(feed: Feed): HTMLElement {
  const warn = feed.warn_after_s === null ? null : `aging after ${durationWords(feed.warn_after_s)}`;
  const error = feed.error_after_s === null ? null : `stale after ${durationWords(feed.error_after_s)}`;
  return element("span", { class: "muted small" }, [warn, error].filter(Boolean).join(", ") || "none set");
}

function unknown(): HTMLElement {
  return element("span", { class: "muted" }, "not known");
}
