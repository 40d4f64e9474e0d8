// Asks a question and hands over each sentence as it arrives, then the end of the answer.

import type { Client } from "./client";
import { EventStreamParser, type StreamEvent } from "./event_stream";
import { Problem, isAbort, problemFrom, unreachable } from "./problem";
import type { AnswerEnd, Sentence, WholeAnswer } from "./shapes";

export interface Question {
  question: string;
  patient?: string;
}

/**
 * Resolves with the end of the answer.
 *
 * Errors: a Problem when the server says so or when the stream stops before its end; an
 * AbortError when `signal` fired.
 */
export async function streamAnswer(
  client: Client,
  question: Question,
  signal: AbortSignal,
  onSentence: (sentence: Sentence) => void,
): Promise<AnswerEnd> {
  const response = await client.ask("/v1/answer", {
    method: "POST",
    body: question,
    accept: "text/event-stream",
    signal,
  });
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith("text/event-stream")) return unfold((await response.json()) as WholeAnswer, onSentence);
  if (!response.body) throw cutOff();
  return readEvents(response.body.getReader(), onSentence);
}

type ByteReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;

export async function readEvents(
  reader: ByteReader,
  onSentence: (sentence: Sentence) => void,
): Promise<AnswerEnd> {
  const parser = new EventStreamParser();
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw isAbort(error) ? error : unreachable();
    });
    if (done) throw cutOff();
    for (const event of parser.push(value)) {
      const end = takeEvent(event, onSentence);
      if (end) {
        await reader.cancel().catch(() => undefined);
        return end;
      }
    }
  }
}

function takeEvent(event: StreamEvent, onSentence: (sentence: Sentence) => void): AnswerEnd | null {
  const body: unknown = readBody(event.data);
  if (event.event === "sentence") onSentence(body as Sentence);
  if (event.event === "error") throw problemFrom(500, body);
  return event.event === "done" ? (body as AnswerEnd) : null;
}

function readBody(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new Problem(200, "unreadable", "Part of the answer could not be read", "What is shown is not complete.");
  }
}

function unfold(answer: WholeAnswer, onSentence: (sentence: Sentence) => void): AnswerEnd {
  for (const { citations, ...sentence } of answer.sentences) {
    onSentence({ ...sentence, citations: answer.citations.filter(({ number }) => citations.includes(number)) });
  }
  return { status: answer.status, reason: answer.reason, freshness: answer.freshness };
}

function cutOff(): Problem {
  return new Problem(
    200,
    "cut_off",
    "The answer stopped before its end",
    "What is shown is not complete. Ask again.",
  );
}
