// Shows which patient is asked about: chosen from a list, typed as an id, or fixed by the token.

import { clearProblem, showProblem } from "../parts/alert";
import { button, element, fill } from "../parts/dom";
import { path, type Client } from "../wire/client";
import type { Patient, PatientPage, WhoAmI } from "../wire/shapes";
import { patientDetails, patientName } from "../words/patients";
import { PatientChoices } from "./patient_choices";
import { PatientDirectory } from "./patient_directory";

export class PatientArea {
  private readonly directory: PatientDirectory;

  /** `changed` hears of every choice, and of `null` when there is none any more. */
  constructor(
    private readonly body: HTMLElement,
    private readonly alert: HTMLElement,
    private readonly client: Client,
    private readonly caller: WhoAmI,
    private readonly changed: (patient: Patient | null) => void,
  ) {
    this.directory = new PatientDirectory(client);
  }

  begin(): void {
    if (this.caller.patient !== null) void this.lock(this.caller.patient);
    else this.offer();
  }

  private offer(): HTMLElement {
    const focusable = this.caller.can_list_patients ? this.offerList() : this.offerIdField();
    this.changed(null);
    return focusable;
  }

  private offerList(): HTMLElement {
    const choices = new PatientChoices(
      this.directory,
      (patient) => this.choose(patient),
      (error) => showProblem(this.alert, error),
    );
    fill(this.body, choices.root, this.withoutPatient());
    return choices.root.querySelector("input") ?? choices.root;
  }

  private offerIdField(): HTMLElement {
    const field = element("input", { id: "patient-id", type: "text", autocomplete: "off", required: true });
    const form = element(
      "form",
      {},
      element("label", { for: "patient-id" }, "Patient id"),
      element("div", { class: "field-row" }, field, element("button", { type: "submit" }, "Use")),
      element("p", { class: "muted small" }, "This token may not list patients."),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const id = field.value.trim();
      if (id !== "") this.choose(unnamed(id));
    });
    fill(this.body, form, this.withoutPatient());
    return field;
  }

  private withoutPatient(): HTMLElement {
    return element("p", { class: "muted small" }, "Without a patient, a question goes to everything within your reach.");
  }

  private choose(patient: Patient): void {
    clearProblem(this.alert);
    const change = button("Change patient", {}, () => this.offer().focus());
    fill(this.body, card(patient), change);
    change.focus();
    this.changed(patient);
  }

  private async lock(id: string): Promise<void> {
    const why = element("p", { class: "muted small" }, "Set by your launch context.");
    const patient = unnamed(id);
    fill(this.body, card(patient), why);
    this.changed(patient);
    if (!this.caller.can_list_patients) return;
    const page = await this.client.read<PatientPage>(path(["patients"], { limit: 100 })).catch(() => null);
    const known = page?.patients.find((listed) => listed.id === id);
    if (!known) return;
    // The same object, so that those already told of the patient learn the name too.
    Object.assign(patient, known);
    fill(this.body, card(patient), why);
  }
}

function card(patient: Patient): HTMLElement {
  return element(
    "div",
    { class: "chosen" },
    element("strong", {}, patientName(patient)),
    element("span", { class: "muted small" }, patientDetails(patient)),
  );
}

function unnamed(id: string): Patient {
  return { id, name: null, birth_date: null, sex: null };
}
