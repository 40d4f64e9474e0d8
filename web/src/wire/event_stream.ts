// Reads server-sent events out of bytes that may be cut anywhere, even inside a character or a CRLF.

export interface StreamEvent {
  event: string;
  data: string;
}

export class EventStreamParser {
  private readonly decoder = new TextDecoder("utf-8");
  private line = "";
  private endedByReturn = false;
  private event = "";
  private data: string[] = [];

  /** The events completed by this chunk; an event without its closing blank line stays pending. */
  push(chunk: Uint8Array): StreamEvent[] {
    const complete: StreamEvent[] = [];
    for (const character of this.decoder.decode(chunk, { stream: true })) {
      this.take(character, complete);
    }
    return complete;
  }

  private take(character: string, complete: StreamEvent[]): void {
    const secondHalfOfReturn = character === "\n" && this.endedByReturn;
    this.endedByReturn = character === "\r";
    if (secondHalfOfReturn) return;
    if (character !== "\n" && character !== "\r") {
      this.line += character;
      return;
    }
    const line = this.line;
    this.line = "";
    if (line === "") this.dispatch(complete);
    else this.field(line);
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (name === "event") this.event = value;
    if (name === "data") this.data.push(value);
  }

  private dispatch(complete: StreamEvent[]): void {
    if (this.data.length > 0) {
      complete.push({ event: this.event || "message", data: this.data.join("\n") });
    }
    this.event = "";
    this.data = [];
  }
}
