//! A caller's right to read: which patients, which kinds of resource, which labels.

use std::collections::BTreeSet;

use super::{Denied, Operation, Permit};
use crate::domain::{Confidentiality, Labels, PatientId, TenantId};

/// What a read does: find rows by a question, or open one whose id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SMART `s`; as text comes back, `r` is needed beside it.
    Search,
    /// SMART `r`.
    Read,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patients {
    /// Every patient of the tenant, and rows that belong to none.
    Everyone,
    Only(BTreeSet<PatientId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Types {
    All,
    Only(BTreeSet<String>),
}

/// One scope's worth of reach: these resource types of these patients. A reach is the union of its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub patients: Patients,
    pub types: Types,
    pub read: bool,
    pub search: bool,
}

/// The labels a caller may see; what is labelled beyond it is withheld, silently.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Clearance {
    pub confidentiality: Confidentiality,
    pub sensitivity: BTreeSet<String>,
}

impl Clearance {
    pub fn covers(&self, labels: &Labels) -> bool {
        labels.confidentiality <= self.confidentiality
            && labels.sensitivity.iter().all(|code| self.sensitivity.contains(code))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub(super) windows: Vec<Window>,
    pub(super) clearance: Clearance,
}

impl Window {
    fn allows(&self, act: Act) -> bool {
        match act {
            Act::Search => self.search && self.read,
            Act::Read => self.read,
        }
    }
}

impl Reach {
    /// The windows that allow `act`.
    pub fn windows(&self, act: Act) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.allows(act))
    }

    pub fn clearance(&self) -> &Clearance {
        &self.clearance
    }

    /// Whether a row of this patient (or of none), type and labels may be seen.
    pub fn covers(&self, act: Act, patient: Option<&PatientId>, resource_type: &str, labels: &Labels) -> bool {
        self.clearance.covers(labels)
            && self.windows(act).any(|window| window.covers_patient(patient) && window.covers_type(resource_type))
    }
}

impl Window {
    pub fn covers_patient(&self, patient: Option<&PatientId>) -> bool {
        match (&self.patients, patient) {
            (Patients::Everyone, _) => true,
            (Patients::Only(patients), Some(patient)) => patients.contains(patient),
            (Patients::Only(_), None) => false,
        }
    }

    pub fn covers_type(&self, resource_type: &str) -> bool {
        match &self.types {
            Types::All => true,
            Types::Only(types) => types.contains(resource_type),
        }
    }
}

/// A caller's right to read, proved by a verified token.
///
/// Fields are private and only [`super::token`] builds one, so holding an `Access` means
/// that a token was verified for this request.
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) tenant: TenantId,
    pub(super) caller: String,
    pub(super) client: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) reach: Reach,
    pub(super) operations: super::scope::Operations,
}

impl Access {
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The token's `sub`.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Proof that this caller may do `operation`.
    ///
    /// Errors: [`Denied`] names the scope that is missing.
    pub fn permit(&self, operation: Operation) -> Result<Permit, Denied> {
        self.operations.allow(&operation)?;
        Ok(Permit::new(self.tenant.clone(), self.caller.clone(), operation))
    }
}
