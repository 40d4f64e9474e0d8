//! Questions that ask for a reason, and sentences that give one.

use crate::stages::terms::words;

/// What a sentence gains that gives a reason when one is asked for: enough to pass sentences that only
/// name the same things, too little to pass over one that fits the question much better.
pub const REASON_GAIN: f32 = 0.15;

/// `why`, `reason` and `cause` in their usual forms.
pub fn asks_for_reason(question: &str) -> bool {
    const ASKING: [&str; 8] = ["why", "reason", "reasons", "cause", "caused", "causes", "explain", "explains"];
    words(question).any(|word| ASKING.contains(&word.to_lowercase().as_str()))
}

/// Whether the sentence says that something follows from something.
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
    let folded = format!(" {} ", words(text).collect::<Vec<_>>().join(" ").to_lowercase());
    GIVING.iter().any(|phrase| folded.contains(&format!(" {phrase} ")))
}

#[cfg(test)]
mod tests {
    use super::{asks_for_reason, gives_reason};

    #[test]
    fn a_reason_is_asked_for_and_given_in_the_usual_words() {
        assert!(asks_for_reason("Why was metformin stopped?"));
        assert!(asks_for_reason("What caused the bleed?"));
        assert!(!asks_for_reason("When was metformin stopped?"));
        assert!(gives_reason("Stopped because her eGFR fell."));
        assert!(gives_reason("Bleed secondary\nto warfarin."));
        assert!(!gives_reason("Medication order (stopped): Metformin"));
    }
}
