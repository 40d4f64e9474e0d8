//! Words that turn a statement: leave one out, and the opposite or something else is said.

use std::collections::BTreeMap;

use super::words::tokens;

/// Negation, doubt, condition, other people, sides, ends, limits. A word may stand here that is harmless in its place;
/// then a sentence that leaves it out isn't said, and that is all.
const GUARDS: &[&str] = &[
    // not so
    "no", "not", "never", "none", "nor", "neither", "without", "denies", "denied", "deny", "denying", "negative",
    "absent", "absence", "free", "ruled", "refuted", "disproved", "unremarkable", "declines", "declined", "refuses",
    "refused", "nobody", "nothing", "unable", "cannot", "contraindicated", "avoid", "lacks", "lack", "non", "false",
    "incorrect", "wrong", "error", "mistake", "mistaken", "erroneous", "corrected", "removed", "retracted", "excluded",
    "fails", "failed", "hardly", "barely", "neg", "unlikely", "against", "instead", "rather", "except", "but",
    "although", "though", "however", "despite", "nil", "untrue", "unconfirmed", "delabeled", "delabelled",
    // maybe so
    "possible", "possibly", "probable", "probably", "likely", "may", "might", "could", "would", "should", "suspected",
    "suspicion", "suspicious", "suggests", "suggestive", "questionable", "presumed", "presumably", "apparently",
    "reportedly", "reports", "reported", "states", "stated", "claims", "claimed", "believes", "thinks", "thought",
    "feels", "appears", "seems", "equivocal", "uncertain", "unclear", "differential", "versus", "vs", "query", "rule",
    "concern", "concerning", "risk", "consider", "considered", "considering", "discussed", "offered", "recommended",
    "recommend", "planned", "plan", "plans", "intended", "will", "shall", "ordered", "pending", "awaiting", "scheduled",
    "draft", "provisional", "preliminary", "proposal", "almost", "nearly", "about", "approximately",
    // so only if, when, until
    "if", "unless", "when", "whenever", "until", "till", "only", "while", "before", "after", "since", "prn", "needed",
    "once", "then", "previously", "formerly", "former", "prior", "past", "history", "hx", "old", "ago", "resolved",
    "stopped", "stop", "discontinued", "discontinue", "held", "hold", "holding", "ended", "cancelled", "canceled",
    "inactive", "completed", "quit", "remission", "paused", "suspended", "withdrawn", "started", "start", "resumed",
    "restart", "restarted", "increased", "decreased", "reduced", "raised", "lowered", "changed", "switched", "replaced",
    // somebody else
    "mother", "father", "brother", "sister", "son", "daughter", "aunt", "uncle", "cousin", "grandmother", "grandfather",
    "maternal", "paternal", "family", "sibling", "siblings", "parent", "parents", "wife", "husband", "partner", "spouse",
    "roommate", "friend", "donor", "child", "children", "relative", "fetus", "fetal", "baby", "infant", "neighbor",
    // which
    "left", "right", "bilateral", "both", "l", "r", "lt", "rt", "upper", "lower", "first", "second", "third", "last",
    "half", "double", "twice", "all", "every", "each", "some", "most", "few", "other", "another", "or", "either",
];

/// How often each turning word stands in a text.
pub(super) fn guards(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for token in tokens(text) {
        if GUARDS.contains(&token.as_str()) || turns_by_prefix(&token) {
            *found.entry(token).or_default() += 1;
        }
    }
    found
}

/// `?` is doubt, `nondiabetic` a denial.
fn turns_by_prefix(token: &str) -> bool {
    token.len() > 6 && token.starts_with("non")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    Unsaid,
    Present,
    Past,
    Both,
}

/// By the auxiliary verbs alone: they are what an excerpt may change.
pub(super) fn tense(text: &str) -> Tense {
    let tokens = tokens(text);
    let any = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.as_str()));
    let past = any(&["was", "were", "had", "did"]);
    let present = any(&["is", "are", "has", "have", "does", "do", "am"]);
    match (past, present) {
        (true, true) => Tense::Both,
        (true, false) => Tense::Past,
        (false, true) => Tense::Present,
        (false, false) => Tense::Unsaid,
    }
}
