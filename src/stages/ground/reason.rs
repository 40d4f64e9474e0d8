//! Questions that ask for a reason or for findings, and sentences that give them.

use super::phrases::holds_any;
use crate::stages::terms::words;

/// What a sentence gains that gives a reason, or findings, when they are asked for: as much as words or standing can give
/// it, so that it passes sentences of the document found first that only name the same things.
pub const SOUGHT_GAIN: f32 = 0.3;

/// `why`, `reason` and `cause` in their usual forms.
pub fn asks_for_reason(question: &str) -> bool {
    const ASKING: [&str; 8] = ["why", "reason", "reasons", "cause", "caused", "causes", "explain", "explains"];
    words(question).any(|word| ASKING.contains(&word.to_lowercase().as_str()))
}

/// `What did the ultrasound show?`
pub fn asks_for_findings(question: &str) -> bool {
    const SHOWING: [&str; 13] = [
        "show",
        "showed",
        "shown",
        "find",
        "found",
        "finding",
        "findings",
        "reveal",
        "revealed",
        "conclude",
        "concluded",
        "impression",
        "say",
    ];
    let mut asked = words(question).map(str::to_lowercase);
    asked.next().is_some_and(|first| first == "what") && asked.any(|word| SHOWING.contains(&word.as_str()))
}

/// Whether a label or a section says that findings stand here: `Conclusion, 2025-03-05: no stones`.
pub fn gives_findings(text: &str, section: Option<&str>) -> bool {
    const FINDINGS: [&str; 9] = [
        "conclusion",
        "conclusions",
        "impression",
        "finding",
        "findings",
        "result",
        "results",
        "interpretation",
        "diagnosis",
    ];
    label(text).is_some_and(|label| holds_any(label, &FINDINGS))
        || section.is_some_and(|title| holds_any(title, &FINDINGS))
}

/// What stands before a line's first colon.
fn label(text: &str) -> Option<&str> {
    text.split_once(": ").map(|(label, _)| label)
}

/// Whether the sentence says that something follows from something, or is labelled as a reason.
pub fn gives_reason(text: &str) -> bool {
    const GIVING: [&str; 10] = [
        "because",
        "due to",
        "owing to",
        "caused by",
        "reason for",
        "as a result of",
        "in view of",
        "on account of",
        "secondary to",
        "attributed to",
    ];
    const REASON: [&str; 4] = ["reason", "reasons", "indication", "because"];
    holds_any(text, &GIVING) || label(text).is_some_and(|label| holds_any(label, &REASON))
}

#[cfg(test)]
mod tests {
    use super::{asks_for_findings, asks_for_reason, gives_findings, gives_reason};

    #[test]
    fn a_reason_is_asked_for_and_given_in_the_usual_words() {
        assert!(asks_for_reason("Why was metformin stopped?"));
        assert!(asks_for_reason("What caused the bleed?"));
        assert!(!asks_for_reason("When was metformin stopped?"));
        assert!(gives_reason("Stopped because her eGFR fell."));
        assert!(gives_reason("Bleed secondary\nto warfarin."));
        assert!(gives_reason("Reason: Type 2 diabetes"));
        assert!(!gives_reason("Medication order (stopped): Metformin"));
    }

    #[test]
    fn findings_are_asked_for_and_stand_under_a_label_or_a_section() {
        assert!(asks_for_findings("What did the kidney ultrasound show?"));
        assert!(!asks_for_findings("Show the kidney ultrasound"));
        assert!(gives_findings("Conclusion, 2025-03-05: No stones.", None));
        assert!(gives_findings("No stones.", Some("IMPRESSION")));
        assert!(!gives_findings("Report (final): Ultrasound of kidneys, 2025-03-05", Some("Plan")));
    }
}
