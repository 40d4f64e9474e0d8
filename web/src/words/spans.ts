// Turns a span of UTF-8 bytes into a piece of a string, whose own offsets count UTF-16 units.

import type { Span } from "../wire/shapes";

export interface Split {
  before: string;
  marked: string;
  after: string;
}

/** `null` when the span is empty, reversed, past the end, or cuts through a character. */
export function splitAtSpan(text: string, span: Span): Split | null {
  if (span.start >= span.end) return null;
  const start = unitsAtByte(text, span.start);
  const end = unitsAtByte(text, span.end);
  if (start === null || end === null) return null;
  return { before: text.slice(0, start), marked: text.slice(start, end), after: text.slice(end) };
}

function unitsAtByte(text: string, byte: number): number | null {
  let bytes = 0;
  let units = 0;
  for (const character of text) {
    if (bytes >= byte) break;
    bytes += bytesOf(character);
    units += character.length;
  }
  return bytes === byte ? units : null;
}

function bytesOf(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}

/** The title of the narrowest section that holds the span's start. */
export function sectionAt(sections: { title: string; span: Span }[], span: Span): string | null {
  const holding = sections.filter((section) => section.span.start <= span.start && span.start < section.span.end);
  holding.sort((a, b) => a.span.end - a.span.start - (b.span.end - b.span.start));
  return holding[0]?.title ?? null;
}
