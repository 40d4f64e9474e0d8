//! The audit row of a request, and how long the request waited for it.

use std::time::Instant;

use super::App;
use crate::access::Access;
use crate::adapters::store::{AuditRow, StoreError, Stranger};
use crate::telemetry::{ClassLabel, seconds};

impl App {
    /// Writes a request's row of the audit trail, and counts how long the request waited for it. No row, no answer.
    pub async fn audit(&self, access: &Access, row: &AuditRow<'_>) -> Result<(), StoreError> {
        self.timed(row.class(access), self.store.audit(access, row)).await
    }

    /// The same for a request that no token was good for.
    pub async fn audit_stranger(&self, who: &Stranger<'_>, row: &AuditRow<'_>) -> Result<(), StoreError> {
        self.timed(who.class, self.store.audit_stranger(who, row)).await
    }

    async fn timed(
        &self,
        class: &str,
        written: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let written = written.await;
        let label = ClassLabel { class: class.to_owned() };
        self.metrics.audit_time.get_or_create(&label).observe(seconds(begun.elapsed()));
        written
    }
}
