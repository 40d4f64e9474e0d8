// A list that comes in pages: rows of a table, and a button while there are more.

import { button, element, fill } from "../parts/dom";
import { table } from "../parts/table";
import type { Section } from "./section";

export interface ItemPage<Item> {
  items: Item[];
  next: string | null;
}

export interface PagedTable<Item> {
  caption: string;
  columns: string[];
  empty: string;
  fetch: (cursor: string | null) => Promise<ItemPage<Item>>;
  row: (item: Item) => HTMLTableRowElement;
}

/** Shows the first page in place of what stood there. */
export async function showFirstPage<Item>(section: Section, paged: PagedTable<Item>): Promise<void> {
  const page = await paged.fetch(null);
  if (page.items.length === 0 && page.next === null) {
    fill(section.body, element("p", { class: "muted" }, paged.empty));
    return;
  }
  fill(section.body, table(paged.caption, paged.columns, page.items.map(paged.row)));
  offerMore(section, paged, page.next);
}

function offerMore<Item>(section: Section, paged: PagedTable<Item>, cursor: string | null): void {
  if (cursor === null) return;
  const more: HTMLButtonElement = button("Load more", {}, () => {
    more.disabled = true;
    void section.attempt(async () => {
      const page = await paged.fetch(cursor).finally(() => (more.disabled = false));
      section.body.querySelector("tbody")?.append(...page.items.map(paged.row));
      more.remove();
      offerMore(section, paged, page.next);
    });
  });
  section.body.append(more);
}
