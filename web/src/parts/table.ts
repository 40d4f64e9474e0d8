// A table that narrow screens stack into cards; roles are stated, since restyled tables lose theirs.

import { element, type Child } from "./dom";

export function table(caption: string, columns: string[], rows: HTMLTableRowElement[]): HTMLTableElement {
  const heads = columns.map((column) => element("th", { role: "columnheader", scope: "col" }, column));
  return element(
    "table",
    { role: "table" },
    element("caption", { class: "visually-hidden" }, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
    element("tbody", { role: "rowgroup" }, ...rows),
  );
}

export function row(columns: string[], cells: Child[]): HTMLTableRowElement {
  return element(
    "tr",
    { role: "row" },
    ...cells.map((cell, at) =>
      element("td", { role: "cell", "data-label": columns[at] ?? "" }, element("div", {}, cell)),
    ),
  );
}
