//! Windows: what the scopes over the same patients allow together.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::reach::{Act, Row};
use crate::domain::PatientId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patients {
    /// Every patient of the tenant, and rows that belong to none.
    Everyone,
    Only(BTreeSet<PatientId>),
}

/// Rows of a type (`None`: of every type) that meet all conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub resource_type: Option<String>,
    pub conditions: Vec<Condition>,
}

/// Rules of which one must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Rules(Vec<Rule>);

/// What may be done with rows of these patients. A reach is the union of its windows.
///
/// `Observation.r` and `Observation.s` over the same patients make `Observation.rs`, though neither alone lets
/// anyone search; rights over different patients are not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub(super) patients: Patients,
    /// Whether a care team's list bounds it, which break-glass may widen.
    pub(super) is_of_user: bool,
    pub(super) read: Rules,
    pub(super) search: Rules,
}

impl Rule {
    fn covers_type(&self, resource_type: &str) -> bool {
        self.resource_type.as_deref().is_none_or(|own| own == resource_type)
    }

    fn covers(&self, row: &Row<'_>) -> bool {
        self.covers_type(row.resource_type) && self.conditions.iter().all(|condition| condition.holds_for(row.labels))
    }

    fn is_everything(&self) -> bool {
        self.resource_type.is_none() && self.conditions.is_empty()
    }
}

impl Rules {
    pub fn add(&mut self, rule: &Rule) {
        if rule.is_everything() {
            self.0.clear();
        }
        if !self.0.contains(rule) && !self.0.iter().any(Rule::is_everything) {
            self.0.push(rule.clone());
        }
    }

    fn cover(&self, row: &Row<'_>) -> bool {
        self.0.iter().any(|rule| rule.covers(row))
    }

    fn open(&self, resource_type: &str) -> bool {
        self.0.iter().any(|rule| rule.covers_type(resource_type))
    }
}

impl Window {
    pub(super) fn new(patients: Patients, is_of_user: bool) -> Self {
        Self { patients, is_of_user, read: Rules::default(), search: Rules::default() }
    }

    pub fn patients(&self) -> &Patients {
        &self.patients
    }

    pub(super) fn allows(&self, act: Act) -> bool {
        !self.read.0.is_empty() && (act == Act::Read || !self.search.0.is_empty())
    }

    pub(super) fn covers(&self, act: Act, row: &Row<'_>) -> bool {
        self.covers_patient(row.patient) && self.read.cover(row) && (act == Act::Read || self.search.cover(row))
    }

    /// Whether it may cover some row of this type.
    pub fn opens(&self, act: Act, resource_type: &str) -> bool {
        self.read.open(resource_type) && (act == Act::Read || self.search.open(resource_type))
    }

    /// Whether no condition narrows any of its types.
    pub(super) fn is_of_whole_types(&self) -> bool {
        [&self.read, &self.search].into_iter().all(|rules| rules.0.iter().all(|rule| rule.conditions.is_empty()))
    }

    /// Whether it holds every row of every patient of the tenant.
    pub fn is_everything(&self, act: Act) -> bool {
        let every = |rules: &Rules| rules.0.iter().any(Rule::is_everything);
        self.patients == Patients::Everyone && every(&self.read) && (act == Act::Read || every(&self.search))
    }

    pub fn covers_patient(&self, patient: Option<&PatientId>) -> bool {
        match (&self.patients, patient) {
            (Patients::Everyone, _) => true,
            (Patients::Only(patients), Some(patient)) => patients.contains(patient),
            (Patients::Only(_), None) => false,
        }
    }
}
