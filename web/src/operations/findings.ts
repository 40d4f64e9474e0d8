// What checks found in records that were kept.

import { element } from "../parts/dom";
import { badge, momentAgo } from "../parts/labels";
import { row } from "../parts/table";
import { path, type Client } from "../wire/client";
import type { Finding, FindingPage } from "../wire/shapes";
import { codeWords } from "../words/codes";
import { showFirstPage } from "./pages";
import type { Section } from "./section";

const COLUMNS = ["Severity", "Rule", "Source", "Path", "Document", "Found"];
const PAGE_SIZE = 25;

export async function showFindings(client: Client, section: Section): Promise<void> {
  await section.attempt(() =>
    showFirstPage<Finding>(section, {
      caption: "Findings",
      columns: COLUMNS,
      empty: "No findings.",
      fetch: (cursor) => client.read<FindingPage>(path(["admin", "findings"], { limit: PAGE_SIZE, cursor })),
      row: findingRow,
    }),
  );
}

function findingRow(finding: Finding): HTMLTableRowElement {
  return row(COLUMNS, [
    badge(finding.severity),
    codeWords(finding.rule),
    finding.source,
    finding.path ? element("code", {}, finding.path) : element("span", { class: "muted" }, "none"),
    finding.document ? element("code", {}, finding.document) : element("span", { class: "muted" }, "none"),
    momentAgo(finding.found_at),
  ]);
}
