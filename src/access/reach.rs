//! A caller's right to read: which patients, which kinds of resource, which labels.

use std::collections::BTreeSet;

use super::operations::Operations;
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

    /// Whether any window takes in every patient: only such a caller is told how much the tenant holds.
    pub fn is_tenant_wide(&self) -> bool {
        self.windows.iter().any(|window| window.patients == Patients::Everyone)
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
        self.types.covers(resource_type)
    }
}

impl Types {
    pub fn covers(&self, resource_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(resource_type),
        }
    }
}

/// A caller's right to read, proved by a verified token.
///
/// Fields are private and only the token's claims, once verified, build one, so holding an `Access` means
/// that a token was verified for this request.
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) tenant: TenantId,
    pub(super) caller: String,
    pub(super) client: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) reach: Reach,
    pub(super) launch_patient: Option<PatientId>,
    pub(super) operations: Operations,
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

    /// The patient whose chart the caller launched us from.
    pub fn launch_patient(&self) -> Option<&PatientId> {
        self.launch_patient.as_ref()
    }

    /// Proof that this caller may do `operation`.
    ///
    /// Errors: [`Denied`] names the scope that is missing.
    pub fn permit(&self, operation: Operation) -> Result<Permit, Denied> {
        self.operations.allow(&operation)?;
        Ok(Permit::new(self.tenant.clone(), self.caller.clone(), operation))
    }

    /// Names of the writes and administrative acts allowed: `ingest`, `reindex`, `quarantine`, `sources`, `quality`.
    pub fn operations_allowed(&self) -> Vec<&'static str> {
        self.operations.names()
    }
}
