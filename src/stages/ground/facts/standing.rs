//! What the source's status word makes of a fact.

use crate::domain::{FactKind, StoredFact};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    InForce,
    /// It was so, and isn't any more.
    Over,
    /// It is said not to be so: refuted, not done, not taken.
    Denied,
    /// It should never have been written.
    Void,
}

/// Status words by what they mean. A word of no list, and none, is in force.
pub fn state(stored: &StoredFact) -> State {
    let status = stored.fact.status.as_deref().unwrap_or_default();
    if is_none_known(stored) {
        return State::Denied;
    }
    match status {
        "entered-in-error" | "entered_in_error" | "nullified" => State::Void,
        "refuted" | "not-done" | "not-taken" | "do-not-perform" | "negated" => State::Denied,
        "cancelled" | "canceled" | "noshow" if is_planned(stored.fact.kind) => State::Over,
        "cancelled" | "canceled" | "rejected" | "aborted" | "suspended" => State::Void,
        "resolved" | "inactive" | "remission" | "stopped" | "ended" | "discontinued" => State::Over,
        "completed" if stored.fact.kind == FactKind::Medication => State::Over,
        "fulfilled" | "finished" if stored.fact.kind == FactKind::Appointment => State::Over,
        "draft" | "proposed" if stored.fact.kind == FactKind::Medication => State::Void,
        _ => State::InForce,
    }
}

fn is_planned(kind: FactKind) -> bool {
    matches!(kind, FactKind::Appointment | FactKind::Encounter | FactKind::Medication)
}

/// `No known allergies` is a fact that there are none.
fn is_none_known(stored: &StoredFact) -> bool {
    let display = stored.fact.display.to_lowercase();
    stored.fact.kind == FactKind::Allergy
        && ["no known", "no allerg", "nkda", "nka"].iter().any(|start| display.starts_with(start))
}

/// A relative's history is nobody's own finding.
pub(super) fn is_own(stored: &StoredFact) -> bool {
    !stored.line.starts_with("Family") && !stored.line.starts_with("Related person")
}
