//! Break-glass: one caller, one patient, some labels, for a while, with a reason on record.

use std::collections::BTreeSet;

use crate::domain::{PatientId, TenantId, Timestamp};

/// What no emergency opens: notes of psychotherapy, and very restricted records.
const NEVER: [&str; 3] = ["PSYTHPN", "HIPAAPsyNotes", "V"];

/// A grant, as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glass {
    pub id: String,
    pub tenant: TenantId,
    pub caller: String,
    pub patient: PatientId,
    /// `ETREAT` or `BTG`.
    pub purpose: String,
    /// Labels it lifts: `R`, `PSY`, ...
    pub categories: BTreeSet<String>,
    pub expires_at: Timestamp,
}

impl Glass {
    pub const PURPOSES: [&str; 2] = ["ETREAT", "BTG"];

    /// Whether a grant may name this label at all.
    pub fn may_lift(label: &str) -> bool {
        !NEVER.contains(&label)
    }

    pub(super) fn is_about(&self, patient: Option<&PatientId>) -> bool {
        patient == Some(&self.patient)
    }

    pub(super) fn lifts(&self, label: &str) -> bool {
        Self::may_lift(label) && self.categories.contains(label)
    }

    pub(super) fn is_for(&self, tenant: &TenantId, caller: &str, now: Timestamp) -> bool {
        self.tenant == *tenant && self.caller == caller && now < self.expires_at
    }
}
