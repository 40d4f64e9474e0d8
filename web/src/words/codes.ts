// Says the contract's codes in words for people.

const ABSTENTIONS: Record<string, string> = {
  no_evidence: "No record within your reach speaks to this question.",
  not_mentioned: "What the question names is mentioned in no record within your reach.",
  stale_sources: "What was found comes from feeds that have been silent for too long, and is withheld.",
  unsupported: "Something that was found or written did not hold against the records, and was taken out.",
  weak_evidence: "Some records touch on this question, but none supports an answer well enough to state it.",
};

export function abstentionWords(reason: string | null): string {
  if (reason === null) return "No reason was given.";
  return ABSTENTIONS[reason] ?? `Reason given: ${spaced(reason)}.`;
}

/** A code such as `care_plan` as `Care plan`. */
export function codeWords(code: string): string {
  const words = spaced(code);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function sizeWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}

function spaced(code: string): string {
  return code.replaceAll("_", " ");
}
