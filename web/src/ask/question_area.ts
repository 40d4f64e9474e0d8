// Takes the question, runs one answer at a time, and lets the reader stop it.

import { clearProblem, showProblem } from "../parts/alert";
import { byId } from "../parts/dom";
import { streamAnswer } from "../wire/answer_stream";
import type { Client } from "../wire/client";
import { isAbort } from "../wire/problem";
import type { Patient } from "../wire/shapes";
import { patientName } from "../words/patients";
import type { AnswerView } from "./answer_view";

export class QuestionArea {
  private readonly form = byId("question-form", HTMLFormElement);
  private readonly field = byId("question", HTMLTextAreaElement);
  private readonly askButton = byId("ask", HTMLButtonElement);
  private readonly stopButton = byId("stop", HTMLButtonElement);
  private running: AbortController | null = null;
  private patient: Patient | null = null;

  constructor(
    private readonly client: Client,
    private readonly view: AnswerView,
    private readonly alert: HTMLElement,
  ) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.ask();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.stopButton.addEventListener("click", () => this.running?.abort());
  }

  /** Drops the answer on screen, so that no sentence stands beside another patient's name. */
  about(patient: Patient | null): void {
    this.patient = patient;
    const dropped = this.running;
    this.running = null;
    dropped?.abort();
    this.show(false);
    this.view.clear();
  }

  private async ask(): Promise<void> {
    const question = this.field.value.trim();
    if (question === "" || this.running !== null) return;
    const run = new AbortController();
    this.running = run;
    clearProblem(this.alert);
    this.show(true);
    this.view.begin(question, this.patient === null ? null : patientName(this.patient));
    try {
      await this.stream(question, run);
    } catch (error) {
      if (this.running === run) this.interrupted(error);
    } finally {
      if (this.running === run) {
        this.running = null;
        this.show(false);
      }
    }
  }

  private async stream(question: string, run: AbortController): Promise<void> {
    const about = this.patient === null ? { question } : { question, patient: this.patient.id };
    const end = await streamAnswer(this.client, about, run.signal, (sentence) => {
      if (this.running === run) this.view.add(sentence);
    });
    if (this.running === run) this.view.end(end);
  }

  private interrupted(error: unknown): void {
    this.view.interrupted(
      isAbort(error)
        ? "Stopped. What is shown is not the whole answer."
        : "The answer failed. Don't rely on what is shown of it.",
    );
    showProblem(this.alert, error);
  }

  private show(running: boolean): void {
    const hadFocus = document.activeElement === this.stopButton || document.activeElement === this.askButton;
    this.stopButton.hidden = !running;
    this.askButton.hidden = running;
    if (hadFocus) (running ? this.stopButton : this.askButton).focus();
  }
}
