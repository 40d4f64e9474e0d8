//! Leave to write or to administer, proved by a scope.

use crate::domain::{SourceId, TenantId};

/// What may be asked for beyond reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Send records to this source: `system/*.c` (or `.cud`), within the token's `sources` claim if it has one.
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

/// Only [`super::Access::permit`] and a verified webhook signature ([`super::verify_webhook`]) make one.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: TenantId,
    caller: String,
    operation: Operation,
}

impl Permit {
    pub(super) fn new(tenant: TenantId, caller: String, operation: Operation) -> Self {
        Self { tenant, caller, operation }
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
