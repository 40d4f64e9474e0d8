// Fictional records for the mock server: nobody in here exists.

const DAY_S = 86_400;
const started = Date.now();

const UNITS = [
  ["year", 365 * DAY_S],
  ["month", 30 * DAY_S],
  ["day", DAY_S],
  ["hour", 3600],
  ["minute", 60],
];

export function ago(days) {
  return new Date(started - days * DAY_S * 1000).toISOString().replace(/\.\d+/, "");
}

function aged(days) {
  const age_s = Math.round(days * DAY_S);
  const [name, size] = UNITS.find(([, seconds]) => age_s >= seconds) ?? ["second", 1];
  const count = Math.floor(age_s / size);
  const times = { effective: ago(days), source: ago(days - 0.01), received: ago(Math.min(days, 40) - 0.02) };
  return { times, age_s, age: `${count} ${name}${count === 1 ? "" : "s"}` };
}

function document(id, version, days, fields) {
  const sections = [];
  let text = "";
  for (const [title, body] of fields.parts) {
    const start = Buffer.byteLength(text);
    text += `${title}\n${body}\n\n`;
    sections.push({ title, span: { start, end: Buffer.byteLength(text) } });
  }
  const { parts: _, ...rest } = fields;
  return { document: id, version, latest: true, status: "current", encounter: null, author: null, ...rest, text, sections, ...aged(days) };
}

const visit = {
  title: "Anticoagulation clinic visit",
  kind: "note",
  resource_type: "DocumentReference",
  source: "ehr",
  patient: "p1",
  encounter: "enc-204",
  author: "Dr. Noémie Lefèvre",
};

const filler = [
  "Walks to the market twice a week and sleeps well. No falls since the last visit. Lives with her sister Íris.",
  "Eats a steady amount of greens; no new herbal products. Drinks one glass of wine on Sundays.",
  "Blood pressure 128/76 mmHg, pulse 72 and irregularly irregular, temperature 36,8 °C, weight 64 kg.",
].join("\n");

export const documents = [
  document("doc-visit", 1, 500, {
    ...visit,
    parts: [
      ["HISTORY", `Ana Ruíz, seen for follow-up. 🩺\n${filler}\n${filler}\n${filler}`],
      ["MEDICATIONS", "Warfarin 5 mg by mouth every evening → target INR 2.0–3.0.\nMetoprolol 25 mg twice a day."],
      ["PLAN", "Repeat INR in two weeks. Hold warfarin 5 days before the planned colonoscopy."],
    ],
  }),
  document("doc-visit", 2, 12, {
    ...visit,
    parts: [
      ["HISTORY", `Ana Ruíz, seen for follow-up. 🩺\n${filler}`],
      ["MEDICATIONS", "Apixaban 5 mg twice a day since last month; warfarin stopped.\nMetoprolol 25 mg twice a day."],
      ["PLAN", "Renal function in three months."],
    ],
  }),
  document("doc-inr", 1, 3, {
    title: "INR",
    kind: "result",
    resource_type: "Observation",
    source: "lab",
    patient: "p1",
    parts: [["RESULT", "INR 2.4 (reference 2.0–3.0), µ-method, final."]],
  }),
  document("doc-summary", 1, 30, {
    title: "Patient summary",
    kind: "patient",
    resource_type: "Bundle",
    source: "ehr",
    patient: "p1",
    parts: [
      ["DEMOGRAPHICS", "Ana Ruíz, female, born 1970-01-01\nSpeaks Spanish, interpreter not needed"],
      ["PROBLEMS", "Atrial fibrillation\nType 2 diabetes mellitus\nOsteoarthritis of the left knee"],
      ["MEDICATIONS", "Apixaban 5 mg twice a day\nMetoprolol 25 mg twice a day\nMetformin 850 mg twice a day"],
      ["ALLERGIES", "Penicillin: hives, moderate"],
      ["CONTACTS", "Íris Ruíz, sister, emergency contact"],
      ["APPOINTMENTS", "Cardiology, Dr. Lefèvre, room 4"],
    ],
  }),
];
documents[0].latest = false;

export function spanOf(document, piece) {
  const at = document.text.indexOf(piece);
  if (at < 0) throw new Error(`the mock's text does not hold ${piece}`);
  const start = Buffer.byteLength(document.text.slice(0, at));
  return { start, end: start + Buffer.byteLength(piece) };
}

function citation(number, document, section, quote) {
  const { title, kind, source, times, age_s, age, version } = document;
  const span = spanOf(document, quote);
  return { number, document: document.document, version, title, kind, section, source, span, quote, times, age_s, age };
}

const [oldVisit, newVisit, inr, summary] = documents;
const warfarin = citation(1, oldVisit, "MEDICATIONS", "Warfarin 5 mg by mouth every evening → target INR 2.0–3.0.");
const apixaban = citation(2, newVisit, "MEDICATIONS", "Apixaban 5 mg twice a day since last month; warfarin stopped.");
const result = citation(3, inr, "RESULT", "INR 2.4 (reference 2.0–3.0), µ-method, final.");

export const sentences = [
  { text: warfarin.quote, support: 0.82, citations: [warfarin] },
  { text: apixaban.quote, support: 0.91, citations: [apixaban] },
  { text: "The latest INR is 2.4 (reference 2.0–3.0).", support: 0.74, citations: [result, apixaban] },
];

function line(document, text, days) {
  const { version, source, times, age_s, age } = document;
  const own = days === undefined ? { times, age_s, age } : { ...aged(Math.abs(days)), age_s: days * DAY_S };
  return { text, document: document.document, version, span: spanOf(document, text), source, ...own };
}

export function contextOf(patient) {
  const lists = { demographics: [], problems: [], medications: [], allergies: [], results: [], contacts: [], appointments: [] };
  if (patient !== "p1") return { patient, ...lists, omitted: ["results"], freshness };
  return {
    patient,
    demographics: ["Ana Ruíz, female, born 1970-01-01", "Speaks Spanish, interpreter not needed"].map((text) => line(summary, text)),
    problems: [
      line(summary, "Atrial fibrillation", 2200),
      line(summary, "Type 2 diabetes mellitus", 3300),
      line(summary, "Osteoarthritis of the left knee", 700),
    ],
    medications: [
      line(summary, "Apixaban 5 mg twice a day"),
      line(summary, "Metoprolol 25 mg twice a day"),
      line(summary, "Metformin 850 mg twice a day"),
    ],
    allergies: [line(summary, "Penicillin: hives, moderate", 4000)],
    results: [line(inr, "INR 2.4 (reference 2.0–3.0), µ-method, final.")],
    contacts: [line(summary, "Íris Ruíz, sister, emergency contact")],
    appointments: [line(summary, "Cardiology, Dr. Lefèvre, room 4", -9)],
    omitted: [],
    freshness,
  };
}

function feed(source, status, days, warn_after_s, error_after_s) {
  const received = days === null ? null : ago(days);
  const newest = days === null ? null : ago(days + 0.2);
  const age_s = days === null ? null : Math.round((days + 0.2) * DAY_S);
  return { source, status, last_received_at: received, newest_source_time: newest, age_s, warn_after_s, error_after_s };
}

export const freshness = {
  status: "aging",
  index: { watermark: 1208, newest_change: 1211, lag_s: 42 },
  feeds: [
    feed("ehr", "fresh", 0.01, DAY_S, 7 * DAY_S),
    feed("lab", "aging", 2, DAY_S, 7 * DAY_S),
    feed("claims", "stale", 45, 7 * DAY_S, 30 * DAY_S),
  ],
};

const NAMES = ["Bo Åkesson", "Chi Nwosu", "Dara O’Neill", "Eun Seo", "Farid Haddad", "Gül Yıldız", "Hana Kovář", "Ivo Petrov"];

export const patients = [
  { id: "p1", name: "Ana Ruíz", birth_date: "1970-01-01", sex: "female" },
  ...Array.from({ length: 119 }, (_, at) => ({
    id: `p${at + 2}`,
    name: at === 50 ? null : `${NAMES[at % NAMES.length]} ${at + 2}`,
    birth_date: `19${40 + (at % 60)}-0${1 + (at % 9)}-1${at % 10}`,
    sex: at % 2 === 0 ? "male" : "female",
  })),
];

function held(at, source, reason, detail, bytes, days) {
  const quarantined_at = ago(days);
  return { id: `q${at}`, source, receipt: `r${at}`, ordinal: 0, reason, detail, bytes, quarantined_at, state: "held" };
}

export const quarantine = [
  held(1, "lab", "malformed_json", "line 1 column 5", 123, 0.2),
  held(2, "claims", "unknown_patient", "no subject at entry 4", 20_480, 3),
  held(3, "ehr", "unsupported_type", "resourceType at /", 811, 20),
];

export const findings = [
  { source: "lab", document: "doc-inr", rule: "unit_missing", severity: "warning", path: "/valueQuantity/unit", found_at: ago(1) },
  { source: "claims", document: null, rule: "reference_unresolved", severity: "error", path: "/entry/4/resource/subject", found_at: ago(3) },
];
