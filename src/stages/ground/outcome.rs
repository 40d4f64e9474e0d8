//! Statements put up for evidence, and sentences that tell an outcome.

use super::phrases::holds_any;
use crate::stages::terms::words;

/// What a sentence gains that tells an outcome when a statement is put up: aims and methods name the same things, and
/// say nothing to whether it is so. Fitted on SciFact's train claims.
pub const OUTCOME_GAIN: f32 = 0.05;

/// What a document's last sentence gains then, its first nothing, the others in between: what a paper concludes and what
/// a note assesses stands at the end. Fitted likewise.
pub const LATE_GAIN: f32 = 0.12;

/// Fewest words of a statement; fewer are a search.
const LEAST: usize = 4;

/// Whether it states something rather than asking: `Aspirin prevents stroke in women`.
pub fn is_statement(question: &str) -> bool {
    const ASKING: [&str; 34] = [
        "what",
        "which",
        "who",
        "whom",
        "whose",
        "when",
        "where",
        "why",
        "how",
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "can",
        "could",
        "should",
        "would",
        "will",
        "may",
        "any",
        "list",
        "show",
        "tell",
        "give",
        "find",
        "name",
        "summarize",
        "explain",
    ];
    let Some(first) = words(question).next() else { return false };
    !question.trim_end().ends_with('?')
        && !ASKING.contains(&first.to_lowercase().as_str())
        && words(question).nth(LEAST - 1).is_some()
}

/// Whether the sentence says what was found or what follows.
pub fn tells_outcome(text: &str) -> bool {
    const TELLING: [&str; 58] = [
        "found",
        "find",
        "finding",
        "findings",
        "result",
        "results",
        "show",
        "shows",
        "showed",
        "shown",
        "suggest",
        "suggests",
        "suggested",
        "indicate",
        "indicates",
        "indicated",
        "demonstrate",
        "demonstrates",
        "demonstrated",
        "reveal",
        "reveals",
        "revealed",
        "conclude",
        "concluded",
        "conclusion",
        "conclusions",
        "identify",
        "identified",
        "observed",
        "we report",
        "we provide",
        "associated",
        "significant",
        "significantly",
        "increase",
        "increased",
        "increases",
        "decrease",
        "decreased",
        "decreases",
        "reduce",
        "reduced",
        "reduces",
        "higher",
        "lower",
        "thus",
        "therefore",
        "these data",
        "confirmed",
        "prevented",
        "improved",
        "induced",
        "inhibited",
        "required",
        "led to",
        "leads to",
        "resulted in",
        "no difference",
    ];
    holds_any(text, &TELLING)
}

#[cfg(test)]
mod tests {
    use super::{is_statement, tells_outcome};

    #[test]
    fn a_statement_neither_asks_nor_commands() {
        assert!(is_statement("Aspirin prevents stroke in women."));
        for other in
            ["Does aspirin prevent stroke", "Aspirin prevents stroke?", "list all active problems", "latest INR", ""]
        {
            assert!(!is_statement(other), "{other}");
        }
    }

    #[test]
    fn an_outcome_is_told_apart_from_an_aim() {
        assert!(tells_outcome("Aspirin reduced the risk of stroke."));
        assert!(tells_outcome("These data\nsay so."));
        assert!(!tells_outcome("We aimed to test aspirin in women."));
    }
}
