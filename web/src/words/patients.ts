// Finds patients by what was typed: every word must occur in the name, id or birth date.

import type { Patient } from "../wire/shapes";

export function matchingPatients(patients: Patient[], typed: string): Patient[] {
  const words = plain(typed).split(/\s+/).filter(Boolean);
  return patients.filter((patient) => {
    const held = plain(`${patient.name ?? ""} ${patient.id} ${patient.birth_date ?? ""}`);
    return words.every((word) => held.includes(word));
  });
}

export function patientName(patient: Patient): string {
  return patient.name ?? `Patient ${patient.id}`;
}

/** What tells patients of one name apart: birth date, sex, id. */
export function patientDetails(patient: Patient): string {
  const born = patient.birth_date === null ? null : `born ${patient.birth_date}`;
  return [born, patient.sex, `id ${patient.id}`].filter(Boolean).join(" · ");
}

function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
}
