//! The pass of background work.

use crate::domain::TenantId;

/// Held by jobs and the command line for work on the store itself; never made for a request.
///
/// `tests/layers.rs` sees that only `jobs/`, `cli/` and tests make one.
#[derive(Clone, Debug)]
pub struct Upkeep {
    tenant: TenantId,
}

impl Upkeep {
    pub fn for_tenant(tenant: TenantId) -> Self {
        Self { tenant }
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}
