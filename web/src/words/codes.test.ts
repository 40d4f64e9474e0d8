import { describe, expect, it } from "vitest";
import { abstentionWords, codeWords, sizeWords } from "./codes";

describe("codes in words", () => {
  it("an abstention names its reason, also one not yet known here", () => {
    expect(abstentionWords("no_evidence")).toMatch(/No record/);
    expect(abstentionWords("weak_evidence")).toMatch(/none supports/);
    expect(abstentionWords("too_old")).toBe("Reason given: too old.");
    expect(abstentionWords(null)).toBe("No reason was given.");
  });

  it("a code loses its underscores", () => {
    expect(codeWords("care_plan")).toBe("Care plan");
    expect(codeWords("")).toBe("");
  });

  it("a size keeps one decimal", () => {
    expect(sizeWords(123)).toBe("123 B");
    expect(sizeWords(1536)).toBe("1.5 KiB");
    expect(sizeWords(3 * 1024 * 1024)).toBe("3.0 MiB");
  });
});
