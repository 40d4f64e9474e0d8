import { describe, expect, it } from "vitest";
import { readEvents } from "./answer_stream";
import type { Sentence } from "./shapes";

function readerOf(...parts: string[]) {
  const chunks = parts.map((part) => new TextEncoder().encode(part));
  return {
    read: async () => {
      const value = chunks.shift();
      return value ? { done: false as const, value } : { done: true as const, value: undefined };
    },
    cancel: async () => undefined,
  };
}

const sentence = 'event: sentence\ndata: {"text":"On warfarin.","support":0.8,"citations":[]}\n\n';

describe("reading a streamed answer", () => {
  it("hands over each sentence and resolves with the end", async () => {
    const seen: Sentence[] = [];
    const done = 'event: done\ndata: {"status":"answered","reason":null,"freshness":null}\n\n';
    const end = await readEvents(readerOf(sentence.slice(0, 20), sentence.slice(20), done), (one) => seen.push(one));
    expect(seen.map(({ text }) => text)).toEqual(["On warfarin."]);
    expect(end.status).toBe("answered");
  });

  it("calls an answer without its end cut off", async () => {
    await expect(readEvents(readerOf(sentence), () => undefined)).rejects.toMatchObject({ code: "cut_off" });
  });

  it("turns an error event into its problem", async () => {
    const error = 'event: error\ndata: {"status":503,"code":"index_building","title":"Not ready"}\n\n';
    await expect(readEvents(readerOf(error), () => undefined)).rejects.toMatchObject({
      status: 503,
      code: "index_building",
      title: "Not ready",
    });
  });

  it("says so when an event is not JSON", async () => {
    await expect(readEvents(readerOf("event: done\ndata: {\n\n"), () => undefined)).rejects.toMatchObject({
      code: "unreadable",
    });
  });
});
