// The freshness of what was searched: one badge, with index and feeds to unfold.

import type { Feed, Freshness } from "../wire/shapes";
import { element } from "./dom";
import { badge, moment } from "./labels";
import { ageWords, counted, durationWords } from "../words/times";

export function freshnessBadge(freshness: Freshness): HTMLElement {
  return element(
    "details",
    { class: "freshness" },
    element("summary", {}, "Records: ", badge(freshness.status), " ", indexWords(freshness)),
    element("ul", { class: "feeds" }, ...freshness.feeds.map(feedLine)),
    freshness.feeds.length === 0 && element("p", { class: "muted" }, "No feed has sent anything yet."),
  );
}

export function indexWords({ index }: Freshness): string {
  const behind = Math.max(0, (index.newest_change ?? 0) - (index.watermark ?? 0));
  if (behind === 0) return "search is up to date";
  return `search is ${counted(behind, "change")} (${durationWords(index.lag_s)}) behind`;
}

function feedLine(feed: Feed): HTMLElement {
  const age = feed.age_s === null ? "age not known" : ageWords(feed.age_s);
  return element(
    "li",
    {},
    badge(feed.status),
    " ",
    element("strong", {}, feed.source),
    element("span", { class: "muted" }, ` ${age}, last received `, moment(feed.last_received_at)),
  );
}
