import { describe, expect, it } from "vitest";
import { ageWords, agoWords, counted, delayWords, durationWords, timeWords } from "./times";

const DAY_S = 86400;

describe("lengths of time", () => {
  it("are told in their largest whole unit", () => {
    expect(durationWords(0)).toBe("0 seconds");
    expect(durationWords(1)).toBe("1 second");
    expect(durationWords(59)).toBe("59 seconds");
    expect(durationWords(60)).toBe("1 minute");
    expect(durationWords(3599)).toBe("59 minutes");
    expect(durationWords(3600)).toBe("1 hour");
    expect(durationWords(2 * DAY_S)).toBe("2 days");
    expect(durationWords(45 * DAY_S)).toBe("1 month");
    expect(durationWords(3.1 * 365.25 * DAY_S)).toBe("3 years");
  });

  it("are old when past and ahead when still to come", () => {
    expect(ageWords(2 * DAY_S)).toBe("2 days old");
    expect(ageWords(2 * DAY_S, "48 hours")).toBe("48 hours old");
    expect(ageWords(-2 * DAY_S, "-2 days")).toBe("in 2 days");
  });

  it("between two moments need both", () => {
    expect(delayWords("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z")).toBe("2 hours");
    expect(delayWords(null, "2026-01-01T02:00:00Z")).toBeNull();
    expect(delayWords("2026-01-01T03:00:00Z", "2026-01-01T02:00:00Z")).toBe("0 seconds");
  });

  it("since a moment", () => {
    const now = Date.parse("2026-01-01T00:10:00Z");
    expect(agoWords("2026-01-01T00:05:00Z", now)).toBe("5 minutes ago");
    expect(agoWords("2026-01-01T00:09:58Z", now)).toBe("just now");
    expect(agoWords("2026-01-01T02:10:00Z", now)).toBe("in 2 hours");
    expect(agoWords("not a time", now)).toBe("");
  });
});

describe("moments", () => {
  it("are told in UTC whatever the reader's zone", () => {
    expect(timeWords("2021-03-04T13:05:59Z")).toBe("4 Mar 2021, 13:05 UTC");
    expect(timeWords("2021-03-04T23:30:00-05:00")).toBe("5 Mar 2021, 04:30 UTC");
  });

  it("at midnight are a date, also before 1970", () => {
    expect(timeWords("2021-03-04T00:00:00Z")).toBe("4 Mar 2021");
    expect(timeWords("1931-12-31T00:00:00Z")).toBe("31 Dec 1931");
  });

  it("that are missing or unreadable are not made up", () => {
    expect(timeWords(null)).toBe("not known");
    expect(timeWords("soon")).toBe("soon");
  });
});

describe("counts", () => {
  it("agree with their noun", () => {
    expect(counted(1, "change")).toBe("1 change");
    expect(counted(0, "change")).toBe("0 changes");
    expect(counted(12345, "byte")).toBe("12,345 bytes");
  });
});
