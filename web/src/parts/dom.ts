// Makes elements. Data enters a page only as text or attribute values, never as markup.

export type Child = Node | string | null | false;
export type Attributes = Record<string, string | number | boolean | null>;

/** `true` sets a bare attribute; `false` and `null` leave it out. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...present(children));
  return made;
}

export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren(...present(children));
}

export function button(label: string, attributes: Attributes, onPress: () => void): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", onPress);
  return made;
}

/** An element the page's own HTML promises to have. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} called ${id}`);
  return found;
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child !== null && child !== false);
}
