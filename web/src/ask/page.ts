// The Ask page: joins patient, question, answer, context and source.

import { byId } from "../parts/dom";
import { signIn } from "../parts/sign_in";
import { AnswerView } from "./answer_view";
import { ContextArea } from "./context_area";
import { PatientArea } from "./patient_area";
import { QuestionArea } from "./question_area";
import { SourcePanel } from "./source_panel";

signIn((client, caller) => {
  const alert = byId("alert", HTMLElement);
  const source = new SourcePanel(client, alert);
  const view = new AnswerView((citation, opener) => void source.open(citation, opener));
  const question = new QuestionArea(client, view, alert);
  const context = new ContextArea(client, alert, (line, opener) => {
    void source.open({ ...line, section: null, quote: null }, opener);
  });
  const patient = new PatientArea(byId("patient-body", HTMLElement), alert, client, caller, (chosen) => {
    source.clear();
    question.about(chosen);
    void context.about(chosen?.id ?? null);
  });
  patient.begin();
});
