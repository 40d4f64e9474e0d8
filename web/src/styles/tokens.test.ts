import { describe, expect, it } from "vitest";
import css from "./tokens.css?raw";

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function colours(block: string): Map<string, string> {
  return new Map(Array.from(block.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g), (found) => [found[1] ?? "", found[2] ?? ""]));
}

const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");

const TEXT_PAIRS = [
  ...["canvas", "surface", "raised"].flatMap((ground) => [["ink", ground], ["muted", ground], ["accent", ground]]),
  ...["good", "caution", "bad"].map((tone) => [tone, `${tone}-soft`]),
  ...["good-soft", "caution-soft", "bad-soft", "accent-soft"].flatMap((ground) => [["ink", ground], ["muted", ground]]),
  ["accent", "accent-soft"],
  ["accent", "caution-soft"],
  ["bad", "surface"],
  ["caution", "surface"],
  ["on-accent", "accent"],
  ["on-mark", "mark"],
];

describe.each([
  ["light", colours(light)],
  ["dark", colours(dark)],
])("the %s colours", (_, palette) => {
  it.each(TEXT_PAIRS)("%s on %s reads at 4.5 to 1", (text = "", ground = "") => {
    expect(contrast(palette.get(text) ?? "#000000", palette.get(ground) ?? "#000000")).toBeGreaterThanOrEqual(4.5);
  });

  it("control borders stand out at 3 to 1", () => {
    const border = palette.get("control-line") ?? "#000000";
    expect(contrast(border, palette.get("surface") ?? "#000000")).toBeGreaterThanOrEqual(3);
  });
});
