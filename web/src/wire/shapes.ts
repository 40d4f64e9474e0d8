// The shapes of the HTTP contract that the pages read and send.

export interface Times {
  effective: string | null;
  source: string | null;
  received: string;
}

/** Byte offsets (UTF-8) into the normalized text of one document version. */
export interface Span {
  start: number;
  end: number;
}

export type FreshnessStatus = "fresh" | "aging" | "stale";

export interface Feed {
  source: string;
  status: FreshnessStatus;
  last_received_at: string | null;
  newest_source_time: string | null;
  age_s: number | null;
  warn_after_s: number | null;
  error_after_s: number | null;
}

export interface Freshness {
  status: FreshnessStatus;
  /** The numbers are null for a token that doesn't take in every patient. */
  index: { watermark: number | null; newest_change: number | null; lag_s: number };
  feeds: Feed[];
}

export interface WhoAmI {
  caller: string;
  tenant: string;
  purpose: string | null;
  patient: string | null;
  operations: string[];
  can_list_patients: boolean;
}

export interface Patient {
  id: string;
  name: string | null;
  birth_date: string | null;
  sex: string | null;
}

export interface PatientPage {
  patients: Patient[];
  next: string | null;
}

export interface ContextLine {
  text: string;
  document: string;
  version: number;
  span: Span;
  source: string;
  times: Times;
  age_s: number;
  age: string;
}

export const CONTEXT_LISTS = [
  "demographics",
  "problems",
  "medications",
  "allergies",
  "results",
  "contacts",
  "appointments",
] as const;

export type ContextList = (typeof CONTEXT_LISTS)[number];

export type PatientContext = Record<ContextList, ContextLine[]> & {
  patient: string;
  omitted: string[];
  freshness: Freshness;
};

export interface Citation {
  number: number;
  document: string;
  version: number;
  title: string;
  kind: string;
  section: string | null;
  source: string;
  span: Span;
  quote: string;
  times: Times;
  age_s: number;
  age: string;
}

export interface Sentence {
  text: string;
  support: number;
  /** `not_needed`: it asserts nothing, so it has no citation. */
  check?: "verbatim" | "counted" | "supported" | "not_needed";
  citations: Citation[];
}

export interface AnswerEnd {
  status: "answered" | "partial" | "abstained";
  reason: string | null;
  freshness: Freshness;
}

/** The answer as one JSON body, where sentences name their citations by number. */
export interface WholeAnswer extends AnswerEnd {
  sentences: (Omit<Sentence, "citations"> & { citations: number[] })[];
  citations: Citation[];
}

export interface StoredDocument {
  document: string;
  version: number;
  latest: boolean;
  title: string;
  kind: string;
  resource_type: string | null;
  source: string;
  patient: string | null;
  encounter: string | null;
  author: string | null;
  status: string | null;
  text: string;
  sections: { title: string; span: Span }[];
  times: Times;
  age_s: number;
  age: string;
}

export interface QuarantineItem {
  id: string;
  source: string;
  receipt: string;
  ordinal: number;
  reason: string;
  detail: string | null;
  bytes: number;
  quarantined_at: string;
  state: "held" | "replayed";
}

export interface QuarantinePage {
  items: QuarantineItem[];
  next: string | null;
}

export interface ReplayResult {
  state: "held" | "replayed";
  reason: string | null;
}

export interface Finding {
  source: string;
  document: string | null;
  rule: string;
  severity: "warning" | "error";
  path: string | null;
  found_at: string;
}

export interface FindingPage {
  items: Finding[];
  next: string | null;
}

export interface Job {
  id: string;
  target: { scope: string; id?: string };
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  error: string | null;
  created_at: string;
  ended_at: string | null;
}
