//! Leave to write or to administer, proved by a scope.

use std::collections::BTreeSet;

use crate::domain::{SourceId, TenantId};

/// What may be asked for beyond reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Send records to this source: `system/*.c` (or `.cud`), or `system/Observation.c` for records of that type;
    /// within the token's `sources` claim if it has one.
    Ingest(SourceId),
    /// `anamnesis/admin.reindex`
    Reindex,
    /// `anamnesis/admin.quarantine`
    Quarantine,
    /// `anamnesis/admin.sources`
    Sources,
    /// `anamnesis/admin.quality`
    Quality,
    /// `anamnesis/admin.access`: care teams' lists, revocations, legal holds.
    Access,
    /// `anamnesis/admin.audit`
    Audit,
    /// `anamnesis/admin.erase`
    Erase,
}

/// FHIR types that records may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Types {
    Every,
    Only(BTreeSet<String>),
}

impl Types {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::Only(BTreeSet::new())
    }

    fn hold(&self, resource_type: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Only(types) => types.contains(resource_type),
        }
    }
}

/// Only [`super::Access::permit`] and a verified webhook signature ([`super::verify_webhook`]) make one.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: TenantId,
    caller: String,
    operation: Operation,
    types: Types,
}

impl Permit {
    /// For records of every type, where it is about records.
    pub(super) fn new(tenant: TenantId, caller: String, operation: Operation) -> Self {
        Self { tenant, caller, operation, types: Types::Every }
    }

    pub(super) fn of_types(self, types: Types) -> Self {
        Self { types, ..self }
    }

    /// Whether records of every type may be sent, so that none has to be looked at first.
    pub fn is_of_every_type(&self) -> bool {
        self.types == Types::Every
    }

    /// Errors: the scope that would let a record of this type in; of every type, where `None` is known of it.
    pub fn check_type(&self, resource_type: Option<&str>) -> Result<(), Denied> {
        match resource_type {
            _ if self.is_of_every_type() => Ok(()),
            Some(resource_type) if self.types.hold(resource_type) => Ok(()),
            _ => Err(Denied { scope: format!("system/{}.c", resource_type.unwrap_or("*")) }),
        }
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub fn caller(&self) -> &str {
        &self.caller
    }

    pub fn operation(&self) -> &Operation {
        &self.operation
    }
}

/// A verified caller without the scope that an operation needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this needs the scope {scope}")]
pub struct Denied {
    pub scope: String,
}
