import { describe, expect, it } from "vitest";
import type { Job } from "../wire/shapes";
import { isActive, progressWords, targetWords } from "./progress";

function aJob(changes: Partial<Job>): Job {
  const created_at = "2026-01-01T00:00:00Z";
  return { id: "j1", target: { scope: "all" }, state: "running", done: 0, total: 0, error: null, created_at, ended_at: null, ...changes };
}

describe("a job", () => {
  it("moves until it is done, failed or cancelled", () => {
    expect(isActive(aJob({ state: "queued" }))).toBe(true);
    expect(isActive(aJob({ state: "running" }))).toBe(true);
    for (const state of ["done", "failed", "cancelled"] as const) expect(isActive(aJob({ state }))).toBe(false);
  });

  it("never reads a hundred percent before its end", () => {
    expect(progressWords(aJob({ done: 999, total: 1000 }))).toBe("999 of 1,000 (99%)");
    expect(progressWords(aJob({ done: 1000, total: 1000 }))).toBe("1,000 of 1,000 (100%)");
  });

  it("without a known total tells what is done", () => {
    expect(progressWords(aJob({ done: 7 }))).toBe("7 done");
    expect(progressWords(aJob({ state: "queued" }))).toBe("waiting");
  });

  it("names its target", () => {
    expect(targetWords(aJob({}))).toBe("all");
    expect(targetWords(aJob({ target: { scope: "patient", id: "p1" } }))).toBe("patient p1");
  });
});
