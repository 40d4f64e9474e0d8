import { describe, expect, it } from "vitest";
import { EventStreamParser, type StreamEvent } from "./event_stream";

const encoder = new TextEncoder();

function parse(chunks: Uint8Array[]): StreamEvent[] {
  const parser = new EventStreamParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

describe("the event stream parser", () => {
  const wire =
    'event: sentence\r\ndata: {"text":"Fièvre à 38,5 °C 🩺"}\r\n\r\n' +
    ": a comment\n\n" +
    "event: done\ndata: first\ndata: second\n\n";
  const expected = [
    { event: "sentence", data: '{"text":"Fièvre à 38,5 °C 🩺"}' },
    { event: "done", data: "first\nsecond" },
  ];

  it("reads the same events wherever the bytes are cut in two", () => {
    const bytes = encoder.encode(wire);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(parse([bytes.slice(0, cut), bytes.slice(cut)]), `cut at ${cut}`).toEqual(expected);
    }
  });

  it("reads the same events one byte at a time", () => {
    const bytes = encoder.encode(wire);
    expect(parse(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it("keeps an event without its blank line back", () => {
    expect(parse([encoder.encode("event: done\ndata: {}\n")])).toEqual([]);
  });

  it("takes a lone carriage return as the end of a line", () => {
    expect(parse([encoder.encode("data: one\r\rdata: two\r\r")])).toEqual([
      { event: "message", data: "one" },
      { event: "message", data: "two" },
    ]);
  });

  it("removes one leading space of a value and no more", () => {
    expect(parse([encoder.encode("data:  two\ndata:none\n\n")])).toEqual([
      { event: "message", data: " two\nnone" },
    ]);
  });

  it("drops an event that carries no data and forgets its name", () => {
    expect(parse([encoder.encode("event: sentence\n\ndata: x\n\n")])).toEqual([{ event: "message", data: "x" }]);
  });

  it("skips the byte order mark and fields it does not know", () => {
    expect(parse([encoder.encode("\ufeffid: 7\nretry: 10\ndata: x\n\n")])).toEqual([{ event: "message", data: "x" }]);
  });
});
