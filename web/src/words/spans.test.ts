import { describe, expect, it } from "vitest";
import { sectionAt, splitAtSpan } from "./spans";

const encoder = new TextEncoder();

/** The byte span of the first `piece` in `text`, found independently of the code under test. */
function byteSpan(text: string, piece: string) {
  const start = encoder.encode(text.slice(0, text.indexOf(piece))).length;
  return { start, end: start + encoder.encode(piece).length };
}

describe("splitting a text at a byte span", () => {
  it("counts two, three and four byte characters before and inside the span", () => {
    const text = "\ufeffPaciente Íñigo Núñez 🩺: 体温 38,5 °C, µg → 𝛼-blocker.\r\nFin";
    for (const piece of ["Íñigo", "🩺", "体温 38,5 °C", "𝛼-blocker", "\r\nFin", "\ufeffP", "F"]) {
      const split = splitAtSpan(text, byteSpan(text, piece));
      expect(split?.marked).toBe(piece);
      expect(`${split?.before}${split?.marked}${split?.after}`).toBe(text);
    }
  });

  it("can mark the whole text", () => {
    expect(splitAtSpan("né", { start: 0, end: 3 })).toEqual({ before: "", marked: "né", after: "" });
  });

  it("refuses a span that cuts through a character", () => {
    expect(splitAtSpan("né", { start: 0, end: 2 })).toBeNull();
    expect(splitAtSpan("🩺x", { start: 2, end: 5 })).toBeNull();
  });

  it("refuses a span past the end, reversed, empty or negative", () => {
    expect(splitAtSpan("abc", { start: 1, end: 4 })).toBeNull();
    expect(splitAtSpan("abc", { start: 2, end: 1 })).toBeNull();
    expect(splitAtSpan("abc", { start: 1, end: 1 })).toBeNull();
    expect(splitAtSpan("abc", { start: -1, end: 1 })).toBeNull();
  });
});

describe("the section of a span", () => {
  const sections = [
    { title: "HISTORY", span: { start: 0, end: 50 } },
    { title: "ALLERGIES", span: { start: 20, end: 40 } },
  ];

  it("is the narrowest one that holds it", () => {
    expect(sectionAt(sections, { start: 25, end: 30 })).toBe("ALLERGIES");
    expect(sectionAt(sections, { start: 5, end: 30 })).toBe("HISTORY");
  });

  it("is none when no section holds it", () => {
    expect(sectionAt(sections, { start: 50, end: 60 })).toBeNull();
  });
});
