//! What patients permit and deny (FHIR Consent), as rules that are evaluated for each row.
//!
//! A rule that isn't understood in full denies more and permits less: a narrowing that can't be held to is left out
//! of a denial, and takes a permission away.

use std::collections::HashMap;
use std::sync::Arc;

use super::reach::Row;
use crate::domain::{PatientId, Provision, Timestamp, decoded};

/// Who asks, what for, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    pub identities: Vec<String>,
    pub purpose: Option<String>,
    pub now: Option<Timestamp>,
}

/// The consents of a tenant, as they bind one caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Consents {
    by_patient: Arc<HashMap<PatientId, Vec<Provision>>>,
    asking: Arc<Asking>,
}

impl Consents {
    pub fn new(by_patient: Arc<HashMap<PatientId, Vec<Provision>>>, asking: Asking) -> Self {
        Self { by_patient, asking: Arc::new(asking) }
    }

    pub fn are_none(&self) -> bool {
        self.by_patient.is_empty()
    }

    fn of(&self, patient: Option<&PatientId>) -> &[Provision] {
        if self.by_patient.is_empty() {
            return &[];
        }
        patient.and_then(|patient| self.by_patient.get(patient)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether no consent of the patient denies this row.
    pub fn allow(&self, row: &Row<'_>) -> bool {
        !self.of(row.patient).iter().any(|provision| provision.decide(row, &self.asking) == Some(true))
    }

    /// Whether the patient permitted this caller, by name, to see what bears this label.
    pub fn lift(&self, row: &Row<'_>, label: &str) -> bool {
        self.of(row.patient).iter().any(|provision| provision.lifts(row, label, &self.asking))
    }
}

impl Provision {
    /// Whether it denies the row; `None` when it isn't about it. The innermost exception that is about it decides.
    fn decide(&self, row: &Row<'_>, asking: &Asking) -> Option<bool> {
        if !self.is_about(row, asking) {
            return None;
        }
        let exceptions = self.exceptions.iter().filter_map(|exception| exception.decide(row, asking));
        // Among exceptions that contradict each other, the one that denies wins.
        Some(exceptions.reduce(|left, right| left || right).unwrap_or(self.denies))
    }

    fn lifts(&self, row: &Row<'_>, label: &str, asking: &Asking) -> bool {
        if !self.is_about(row, asking) {
            return false;
        }
        let names_both = !self.denies && !self.actors.is_empty() && self.labels.iter().any(|own| own == label);
        names_both || self.exceptions.iter().any(|exception| exception.lifts(row, label, asking))
    }

    fn is_about(&self, row: &Row<'_>, asking: &Asking) -> bool {
        let within = |from: Option<Timestamp>, to: Option<Timestamp>, at: Timestamp| {
            from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to)
        };
        asking.now.is_none_or(|now| within(self.from, self.to, now))
            && within(self.data_from, self.data_to, row.as_of)
            && (self.actors.is_empty() || self.actors.iter().any(|actor| asking.is(actor)))
            && (self.purposes.is_empty() || self.purposes.iter().any(|own| Some(own) == asking.purpose.as_ref()))
            && (self.labels.is_empty() || self.labels.iter().any(|label| bears(row, label)))
            && (self.types.is_empty() || self.types.iter().any(|own| own == row.resource_type))
            && (self.codes.is_empty() || self.codes.iter().any(|code| is_coded(row, code)))
    }
}

impl Asking {
    /// `Practitioner/7` is who comes as `https://ehr.example/fhir/Practitioner/7`.
    fn is(&self, actor: &str) -> bool {
        self.identities.iter().any(|own| {
            own == actor || own.strip_suffix(actor).is_some_and(|before| actor.contains('/') && before.ends_with('/'))
        })
    }
}

fn bears(row: &Row<'_>, label: &str) -> bool {
    row.labels.confidentiality.as_str() == label || row.labels.sensitivity.iter().any(|own| own == label)
}

fn is_coded(row: &Row<'_>, wanted: &str) -> bool {
    row.labels
        .codes
        .iter()
        .filter_map(|text| decoded(text))
        .any(|(_, system, code)| wanted.split_once('|') == Some((system, code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Confidentiality, Kind, Labels};

    fn at(day: i64) -> Timestamp {
        Timestamp::from_micros(day * 86_400_000_000)
    }

    fn consents(provision: Provision, identities: &[&str], purpose: &str) -> Consents {
        let by_patient = HashMap::from([(PatientId::new("p1"), vec![provision])]);
        let asking = Asking {
            identities: identities.iter().map(|own| (*own).to_owned()).collect(),
            purpose: Some(purpose.to_owned()),
            now: Some(at(100)),
        };
        Consents::new(Arc::new(by_patient), asking)
    }

    fn labels(sensitivity: &[&str]) -> Labels {
        Labels {
            confidentiality: Confidentiality::N,
            sensitivity: sensitivity.iter().map(|code| (*code).to_owned()).collect(),
            codes: vec!["code=http://loinc.org|4548-4".to_owned()],
        }
    }

    fn asks(consents: &Consents, patient: &str, resource_type: &str, sensitivity: &[&str], day: i64) -> bool {
        let (patient, labels) = (PatientId::new(patient), labels(sensitivity));
        let row = Row { patient: Some(&patient), resource_type, kind: Kind::Result, labels: &labels, as_of: at(day) };
        consents.allow(&row)
    }

    fn deny() -> Provision {
        Provision { denies: true, ..Provision::default() }
    }

    #[test]
    fn a_denial_holds_for_its_patient_alone() {
        let consents = consents(deny(), &["dr"], "TREAT");
        assert!(!asks(&consents, "p1", "Observation", &[], 1));
        assert!(asks(&consents, "p2", "Observation", &[], 1));
    }

    #[test]
    fn each_narrowing_narrows() {
        let text = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let cases = [
            (Provision { actors: text(&["Practitioner/7"]), ..deny() }, false),
            (Provision { actors: text(&["Practitioner/8"]), ..deny() }, true),
            (Provision { actors: text(&["7"]), ..deny() }, true),
            (Provision { from: Some(at(101)), ..deny() }, true),
            (Provision { to: Some(at(99)), ..deny() }, true),
            (Provision { from: Some(at(99)), to: Some(at(101)), ..deny() }, false),
            (Provision { data_from: Some(at(51)), ..deny() }, true),
            (Provision { data_to: Some(at(51)), ..deny() }, false),
            (Provision { labels: text(&["PSY"]), ..deny() }, false),
            (Provision { labels: text(&["SUD"]), ..deny() }, true),
            (Provision { types: text(&["Observation"]), ..deny() }, false),
            (Provision { types: text(&["Condition"]), ..deny() }, true),
            (Provision { codes: text(&["http://loinc.org|4548-4"]), ..deny() }, false),
            (Provision { codes: text(&["http://loinc.org|2339-0"]), ..deny() }, true),
            (Provision { purposes: text(&["HRESCH"]), ..deny() }, true),
            (Provision { purposes: text(&["TREAT"]), ..deny() }, false),
        ];
        for (number, (provision, allowed)) in cases.into_iter().enumerate() {
            let consents = consents(provision, &["https://ehr.example/Practitioner/7"], "TREAT");
            assert_eq!(asks(&consents, "p1", "Observation", &["PSY"], 50), allowed, "case {number}");
        }
    }

    #[test]
    fn the_innermost_exception_decides_and_denial_wins_among_equals() {
        let only_labs = Provision { types: vec!["Observation".to_owned()], ..Provision::default() };
        let root = Provision { exceptions: vec![only_labs.clone()], ..deny() };
        let consents_of = |root: Provision| consents(root, &["dr"], "TREAT");
        assert!(asks(&consents_of(root.clone()), "p1", "Observation", &[], 1));
        assert!(!asks(&consents_of(root), "p1", "Condition", &[], 1));
        let again = Provision { types: vec!["Observation".to_owned()], ..deny() };
        let both = Provision { exceptions: vec![only_labs, again], ..deny() };
        assert!(!asks(&consents_of(both), "p1", "Observation", &[], 1));
    }

    #[test]
    fn a_label_is_lifted_for_those_named_and_for_that_label_only() {
        let permit = Provision {
            actors: vec!["Practitioner/7".to_owned()],
            labels: vec!["SUD".to_owned()],
            ..Provision::default()
        };
        let named = consents(permit.clone(), &["https://ehr.example/Practitioner/7"], "TREAT");
        let other = consents(permit, &["https://ehr.example/Practitioner/8"], "TREAT");
        let (patient, labels) = (PatientId::new("p1"), labels(&["SUD", "HIV"]));
        let row = Row {
            patient: Some(&patient),
            resource_type: "Condition",
            kind: Kind::Problem,
            labels: &labels,
            as_of: at(1),
        };
        assert!(named.lift(&row, "SUD") && !named.lift(&row, "HIV") && !other.lift(&row, "SUD"));
    }
}
