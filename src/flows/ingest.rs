//! Takes records in: land them durably, then read them into documents or quarantine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::access::{Operation, Permit, Upkeep, WebhookProof};
use crate::adapters::store::{Landing, NormalizedDelivery, RecordOutcome, Store, StoreError};
use crate::domain::{
    Account, Delivery, Format, QuarantineReason, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp,
    Unreadable,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};
use crate::telemetry::{Metrics, ReasonLabel, SourceLabel};

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("no such source is declared")]
    UnknownSource,
    #[error("the source has no mapping for CRM rows")]
    NoMapping,
    #[error("the delivery is empty")]
    Empty,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the reading task was stopped")]
    Stopped,
}

#[derive(Clone)]
pub struct IngestFlow {
    store: Store,
    metrics: Arc<Metrics>,
}

impl IngestFlow {
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Lands what a caller sent. When this returns, it is on disk: only then may it be acknowledged.
    pub async fn accept(
        &self,
        permit: &Permit,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<ReceiptId, IngestError> {
        self.land(permit.tenant(), source, format, name, bytes).await
    }

    /// The same for files on the operator's own machine.
    pub async fn accept_file(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<ReceiptId, IngestError> {
        self.land(tenant, source, format, name, bytes).await
    }

    /// Lands a signed post, unless it came before.
    pub async fn accept_signed(
        &self,
        proof: &WebhookProof,
        format: Format,
        bytes: Vec<u8>,
    ) -> Result<(ReceiptId, Landing), IngestError> {
        let permit = proof.permit();
        let Operation::Ingest(source) = permit.operation() else { return Err(IngestError::UnknownSource) };
        let delivery = self.delivery(permit.tenant(), source, format, None, bytes).await?;
        let landing = self.store.land_once(&delivery, proof).await?;
        if landing == Landing::Landed {
            self.metrics.received.get_or_create(&SourceLabel { source: source.to_string() }).inc();
        }
        Ok((delivery.receipt, landing))
    }

    async fn land(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<ReceiptId, IngestError> {
        let delivery = self.delivery(tenant, source, format, name, bytes).await?;
        self.store.land(&delivery).await?;
        self.metrics.received.get_or_create(&SourceLabel { source: source.to_string() }).inc();
        Ok(delivery.receipt)
    }

    /// What is to be landed. Errors: the source isn't declared or can't read that form, or there is nothing to land.
    async fn delivery(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<Delivery, IngestError> {
        let description = self.store.source(tenant, source).await?.ok_or(IngestError::UnknownSource)?;
        if matches!(format, Format::MappedCsv | Format::MappedJson) && description.mapping.is_none() {
            return Err(IngestError::NoMapping);
        }
        if bytes.is_empty() {
            return Err(IngestError::Empty);
        }
        Ok(Delivery {
            receipt: ReceiptId::fresh(),
            tenant: tenant.clone(),
            source: source.clone(),
            format,
            name,
            bytes,
            received_at: Timestamp::now(),
        })
    }

    /// Reads the oldest delivery that waits; `None` when none does.
    pub async fn read_next(&self, upkeep: &Upkeep) -> Result<Option<(ReceiptId, Account)>, IngestError> {
        loop {
            let Some(delivery) = self.store.next_landed(upkeep).await? else { return Ok(None) };
            let source = self.store.source(&delivery.tenant, &delivery.source).await?;
            let (delivery, records) = read(delivery, source.ok_or(IngestError::UnknownSource)?).await?;
            let normalized = NormalizedDelivery { delivery: &delivery, records };
            match self.store.record_outcomes(upkeep, &normalized).await {
                // Another process was faster, so this one isn't `landed` any more.
                Err(StoreError::AlreadyRead) => {}
                recorded => {
                    let account = recorded?;
                    self.count(&delivery.source, &account);
                    return Ok(Some((delivery.receipt, account)));
                }
            }
        }
    }

    fn count(&self, source: &SourceId, account: &Account) {
        let quarantined: u64 = account.quarantined.values().sum();
        let label = SourceLabel { source: source.to_string() };
        self.metrics.accepted.get_or_create(&label).inc_by(account.records - quarantined);
        for (reason, count) in &account.quarantined {
            let label = ReasonLabel { source: source.to_string(), reason: reason.as_str().to_owned() };
            self.metrics.quarantined.get_or_create(&label).inc_by(*count);
        }
    }
}

/// Splits and normalizes a delivery off the request threads.
async fn read(delivery: Delivery, source: SourceDescription) -> Result<(Delivery, Vec<RecordOutcome>), IngestError> {
    let reading = tokio::task::spawn_blocking(move || {
        let records = read_pieces(&delivery, &source);
        (delivery, records)
    });
    reading.await.map_err(|_| IngestError::Stopped)
}

/// Every piece of a delivery, read or with the reason why not.
///
/// A defect in a reader costs the record it is met in, never the feed.
pub(super) fn read_pieces(delivery: &Delivery, source: &SourceDescription) -> Vec<RecordOutcome> {
    let origin =
        Origin { source, format: delivery.format, name: delivery.name.as_deref(), received_at: delivery.received_at };
    let pieces = match guarded(|| split(delivery, source.mapping.as_ref())) {
        Ok(pieces) => pieces,
        Err(unreadable) => vec![Piece::Unreadable { ordinal: 0, bytes: delivery.bytes.clone(), unreadable }],
    };
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Record(record) => {
                let result = guarded(|| normalize(&record, &origin)).and_then(|read| read);
                RecordOutcome { ordinal: record.ordinal, bytes: record.bytes, result }
            }
            Piece::Unreadable { ordinal, bytes, unreadable } => {
                RecordOutcome { ordinal, bytes, result: Err(unreadable) }
            }
        })
        .collect()
}

/// Runs a reader; a panic in it is a reason to hold the record, not to stop.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| Unreadable::new(QuarantineReason::ReaderFailed, "the reader broke off; the log says where"))
}

#[cfg(test)]
mod tests {
    use super::{QuarantineReason, guarded};

    #[test]
    fn a_reader_that_breaks_off_is_a_reason_to_hold_the_record() {
        assert_eq!(guarded(|| 7), Ok(7));
        let held = guarded(|| -> u8 { panic!("on purpose") }).unwrap_err();
        assert_eq!(held.reason, QuarantineReason::ReaderFailed);
        assert!(!held.detail.contains("on purpose"));
    }
}
