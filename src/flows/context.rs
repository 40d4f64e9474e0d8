//! A patient at a glance, for a CRM or a launch page: short lists from facts, each line cited.

use crate::access::{Access, Act};
use crate::adapters::store::{Store, StoreError};
use crate::domain::{ContextLine, FactKind, PatientContext, PatientId, StoredFact, Timestamp};

/// Lines per list, at most.
const RESULTS: usize = 10;
const CONTACTS: usize = 5;
const APPOINTMENTS: usize = 5;
const OTHERS: usize = 30;

/// A context, and which lists the caller's token doesn't open at all.
#[derive(Clone, Debug, PartialEq)]
pub struct PatientContextView {
    pub context: PatientContext,
    pub omitted: Vec<&'static str>,
}

#[derive(Clone)]
pub struct ContextFlow {
    store: Store,
}

impl ContextFlow {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// `None` when nothing of this patient is within reach: absent and forbidden look the same.
    pub async fn run(&self, access: &Access, patient: &PatientId) -> Result<Option<PatientContextView>, StoreError> {
        let facts = self.store.facts(access, Act::Read, patient, &FactKind::ALL).await?;
        if facts.is_empty() {
            return Ok(None);
        }
        let now = Timestamp::now();
        let of = |kind: FactKind| facts.iter().filter(move |stored| stored.fact.kind == kind);
        let standing = |kind| of(kind).filter(|stored| is_standing(stored));
        let mut appointments: Vec<&StoredFact> =
            of(FactKind::Appointment).filter(|stored| is_upcoming(stored, now)).collect();
        appointments.sort_by_key(|stored| stored.fact.effective);
        let context = PatientContext {
            patient: patient.clone(),
            demographics: lines(of(FactKind::Demographic), OTHERS),
            problems: lines(standing(FactKind::Condition), OTHERS),
            medications: lines(standing(FactKind::Medication), OTHERS),
            allergies: lines(standing(FactKind::Allergy), OTHERS),
            results: lines(of(FactKind::Observation), RESULTS),
            contacts: lines(of(FactKind::Contact), CONTACTS),
            appointments: lines(appointments.into_iter(), APPOINTMENTS),
        };
        Ok(Some(PatientContextView { context, omitted: omitted(access, patient) }))
    }
}

/// Lists by the FHIR types that feed them.
const LISTS: [(&str, &[&str]); 7] = [
    ("demographics", &["Patient"]),
    ("problems", &["Condition"]),
    ("medications", &["MedicationRequest", "MedicationStatement"]),
    ("allergies", &["AllergyIntolerance"]),
    ("results", &["Observation"]),
    ("contacts", &["Communication"]),
    ("appointments", &["Appointment"]),
];

fn omitted(access: &Access, patient: &PatientId) -> Vec<&'static str> {
    let opens = |resource_type: &&str| access.reach().opens(Act::Read, patient, resource_type);
    LISTS.iter().filter(|(_, types)| !types.iter().any(opens)).map(|(list, _)| *list).collect()
}

/// Not over, refuted or stopped, as far as the source's status says.
fn is_standing(stored: &StoredFact) -> bool {
    const OVER: [&str; 9] = [
        "resolved",
        "inactive",
        "remission",
        "refuted",
        "stopped",
        "completed",
        "cancelled",
        "ended",
        "entered-in-error",
    ];
    stored.fact.status.as_deref().is_none_or(|status| !OVER.contains(&status))
}

fn is_upcoming(stored: &StoredFact, now: Timestamp) -> bool {
    const OFF: [&str; 4] = ["cancelled", "noshow", "fulfilled", "entered-in-error"];
    stored.fact.effective.is_some_and(|at| at >= now)
        && stored.fact.status.as_deref().is_none_or(|status| !OFF.contains(&status))
}

fn lines<'a>(facts: impl Iterator<Item = &'a StoredFact>, limit: usize) -> Vec<ContextLine> {
    let mut lines: Vec<ContextLine> = Vec::new();
    for stored in facts {
        let repeats = lines.iter().any(|line| line.key == stored.key && line.span == stored.fact.span);
        if !repeats && lines.len() < limit {
            lines.push(line(stored));
        }
    }
    lines
}

fn line(stored: &StoredFact) -> ContextLine {
    ContextLine {
        text: stored.line.clone(),
        key: stored.key.clone(),
        span: stored.fact.span,
        source: stored.source.clone(),
        effective: stored.fact.effective,
        source_time: stored.source_time,
        received_at: stored.received_at,
    }
}
