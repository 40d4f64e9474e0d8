import { describe, expect, it } from "vitest";
import { tokenInFragment } from "./session";

describe("a token in the address", () => {
  it("is read from the fragment", () => {
    expect(tokenInFragment("#token=abc.def-_.g")).toBe("abc.def-_.g");
    expect(tokenInFragment("#page=1&token=abc")).toBe("abc");
  });

  it("is none when missing or empty", () => {
    expect(tokenInFragment("")).toBeNull();
    expect(tokenInFragment("#token=")).toBeNull();
    expect(tokenInFragment("#tokens=abc")).toBeNull();
  });
});
