// The typeahead: a combobox whose list is filtered as one types, for keyboard and pointer.

import { button, element, fill } from "../parts/dom";
import type { Patient } from "../wire/shapes";
import { counted } from "../words/times";
import { patientDetails, patientName } from "../words/patients";
import type { PatientDirectory } from "./patient_directory";

/** Options the list holds at most; it scrolls. */
const SHOWN = 50;

/** Matches after which no further page is fetched unasked. */
const ENOUGH = 8;

export class PatientChoices {
  readonly root: HTMLElement;
  private readonly field = element("input", {
    id: "patient-search",
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": "patient-list",
    "aria-describedby": "patient-count",
  });
  private readonly list = element("ul", { id: "patient-list", role: "listbox", "aria-label": "Patients", hidden: true });
  private readonly count = element("div", { id: "patient-count", class: "muted small", role: "status" });
  private shown: Patient[] = [];
  private active = -1;

  constructor(
    private readonly directory: PatientDirectory,
    private readonly choose: (patient: Patient) => void,
    private readonly fail: (error: unknown) => void,
  ) {
    const label = element("label", { for: "patient-search" }, "Find by name, id or birth date");
    this.root = element("div", { class: "choices" }, label, this.field, this.list, this.count);
    this.field.addEventListener("input", () => void this.search());
    this.field.addEventListener("focus", () => void this.search());
    this.field.addEventListener("blur", () => this.close());
    this.field.addEventListener("keydown", (event) => this.press(event));
  }

  focus(): void {
    this.field.focus();
  }

  private async search(): Promise<void> {
    this.show();
    const typed = this.field.value;
    try {
      await this.directory.search(typed, ENOUGH);
    } catch (error) {
      this.fail(error);
    }
    if (this.field.value === typed) this.show();
  }

  private show(): void {
    const matching = this.directory.matching(this.field.value);
    this.shown = matching.slice(0, SHOWN);
    this.active = -1;
    this.field.removeAttribute("aria-activedescendant");
    fill(this.list, ...this.shown.map((patient, at) => this.option(patient, at)));
    this.open(this.shown.length > 0 && document.activeElement === this.field);
    this.tellCount(matching.length);
  }

  private option(patient: Patient, at: number): HTMLElement {
    const made = element(
      "li",
      { id: `patient-option-${at}`, role: "option", "aria-selected": "false" },
      element("span", {}, patientName(patient)),
      element("span", { class: "muted small" }, patientDetails(patient)),
    );
    // Keeps the focus in the field, whose blur would close the list before the click lands.
    made.addEventListener("pointerdown", (event) => event.preventDefault());
    made.addEventListener("click", () => this.choose(patient));
    return made;
  }

  private tellCount(matching: number): void {
    const { count, complete } = this.directory;
    if (count === 0 && !complete) return fill(this.count, "Loading patients…");
    const looked = complete ? counted(count, "patient") : `the first ${counted(count, "patient")}`;
    const words = `${counted(matching, "match").replace(/matchs$/, "matches")} among ${looked}. `;
    const more = button("Look further", { class: "link" }, () => void this.lookFurther());
    fill(this.count, words, !complete && more);
  }

  private async lookFurther(): Promise<void> {
    this.field.focus();
    try {
      await this.directory.loadMore();
    } catch (error) {
      this.fail(error);
    }
    await this.search();
  }

  private press(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.move(step);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const patient = this.shown[this.active] ?? (this.shown.length === 1 ? this.shown[0] : undefined);
      if (patient) this.choose(patient);
    } else if (event.key === "Escape") {
      this.close();
    }
  }

  private move(step: number): void {
    if (this.shown.length === 0) return;
    this.open(true);
    const start = this.active === -1 && step < 0 ? 0 : this.active;
    this.active = (start + step + this.shown.length) % this.shown.length;
    for (const [at, option] of Array.from(this.list.children).entries()) {
      option.setAttribute("aria-selected", String(at === this.active));
      if (at === this.active) option.scrollIntoView({ block: "nearest" });
    }
    this.field.setAttribute("aria-activedescendant", `patient-option-${this.active}`);
  }

  private open(open: boolean): void {
    this.list.hidden = !open;
    this.field.setAttribute("aria-expanded", String(open));
  }

  private close(): void {
    this.open(false);
  }
}
