//! Takes records in: land them durably, then read them into documents or quarantine.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::Semaphore;

use super::admission::{Admission, Busy, Gate, IngestLimits};
use super::by_type::check_types;
use super::reading::{ReadPart, Reading, read_pieces};
use crate::access::{Denied, Operation, Permit, Upkeep, WebhookProof};
use crate::adapters::store::{DeliverySlice, LandedOnce, NormalizedDelivery, Rehearsal, Store, StoreError, Tally};
use crate::domain::{Account, Delivery, Format, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp};
use crate::telemetry::{Metrics, ReasonLabel, SourceLabel};

/// Threads that read records; the writer needs its own.
const READERS: usize = 2;
/// Previews and checks of types at once: each reads a whole delivery into memory.
const PREVIEWS: usize = 2;

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
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// A delivery that was read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadDelivery {
    pub receipt: ReceiptId,
    pub account: Account,
}

#[derive(Clone)]
pub struct IngestFlow {
    store: Store,
    metrics: Arc<Metrics>,
    gate: Gate,
    readers: Arc<ThreadPool>,
    previews: Arc<Semaphore>,
}

impl IngestFlow {
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self::with_limits(store, metrics, IngestLimits::default())
    }

    pub fn with_limits(store: Store, metrics: Arc<Metrics>, limits: IngestLimits) -> Self {
        let readers = ThreadPoolBuilder::new().num_threads(READERS).thread_name(|number| format!("reader-{number}"));
        let readers = readers.build().expect("threads can be made when the process starts");
        Self {
            gate: Gate::new(store.clone(), limits),
            store,
            metrics,
            readers: Arc::new(readers),
            previews: Arc::new(Semaphore::new(PREVIEWS)),
        }
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
        let (delivery, description) = self.delivery(permit.tenant(), source, format, name, bytes).await?;
        check_mapping(&delivery, &description)?;
        let (delivery, _) = self.checked(permit, delivery, description).await?;
        self.land(delivery).await
    }

    /// A delivery whose records are all of types that the caller may send: where not all may be, they are read for it
    /// first, as they will be once landed.
    async fn checked(
        &self,
        permit: &Permit,
        delivery: Delivery,
        description: SourceDescription,
    ) -> Result<(Delivery, SourceDescription), IngestError> {
        if permit.is_of_every_type() {
            return Ok((delivery, description));
        }
        let _turn = self.previews.acquire().await.map_err(|_| IngestError::Stopped)?;
        let permit = permit.clone();
        let checking = tokio::task::spawn_blocking(move || {
            check_types(&permit, &delivery, &description).map(|()| (delivery, description))
        });
        Ok(checking.await.map_err(|_| IngestError::Stopped)??)
    }

    /// The same for what we fetched ourselves: rows without a mapping land too, and wait in quarantine for one.
    pub async fn accept_file(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<ReceiptId, IngestError> {
        let (delivery, _) = self.delivery(tenant, source, format, name, bytes).await?;
        self.land(delivery).await
    }

    /// Lands a signed post, unless it came before.
    pub async fn accept_signed(
        &self,
        proof: &WebhookProof,
        format: Format,
        bytes: Vec<u8>,
    ) -> Result<(ReceiptId, LandedOnce), IngestError> {
        let permit = proof.permit();
        let Operation::Ingest(source) = permit.operation() else { return Err(IngestError::UnknownSource) };
        let (delivery, description) = self.delivery(permit.tenant(), source, format, None, bytes).await?;
        check_mapping(&delivery, &description)?;
        let receipt = delivery.receipt.clone();
        let landing = self.store.land_once(delivery, proof).await?;
        if landing == LandedOnce::Landed {
            self.metrics.received.get_or_create(&SourceLabel { source: source.to_string() }).inc();
        }
        Ok((receipt, landing))
    }

    async fn land(&self, delivery: Delivery) -> Result<ReceiptId, IngestError> {
        let (receipt, source) = (delivery.receipt.clone(), delivery.source.clone());
        self.store.land(delivery).await?;
        self.metrics.received.get_or_create(&SourceLabel { source: source.to_string() }).inc();
        Ok(receipt)
    }

    /// What was sent as a delivery, if it may be taken in.
    async fn delivery(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<(Delivery, SourceDescription), IngestError> {
        let description = self.store.source(tenant, source).await?.ok_or(IngestError::UnknownSource)?;
        if bytes.is_empty() {
            return Err(IngestError::Empty);
        }
        let delivery = Delivery {
            receipt: ReceiptId::fresh(),
            tenant: tenant.clone(),
            source: source.clone(),
            format,
            name,
            bytes,
            received_at: Timestamp::now(),
        };
        Ok((delivery, description))
    }

    /// Room for a delivery of this size; asked before its bytes are read, and kept until they have landed.
    ///
    /// Errors: when to come again, by [`Busy::retry_after_s`].
    pub async fn admit(&self, bytes: usize) -> Result<Admission, Busy> {
        self.gate.admit(bytes)
    }

    /// What these bytes would come to, without writing anything, not even that they came.
    pub async fn preview(
        &self,
        permit: &Permit,
        source: &SourceId,
        format: Format,
        name: Option<String>,
        bytes: Vec<u8>,
    ) -> Result<Account, IngestError> {
        let (delivery, description) = self.delivery(permit.tenant(), source, format, name, bytes).await?;
        check_mapping(&delivery, &description)?;
        let (delivery, description) = self.checked(permit, delivery, description).await?;
        let _turn = self.previews.acquire().await.map_err(|_| IngestError::Stopped)?;
        let mut rehearsal = self.store.rehearse().await?;
        self.rehearse(&mut rehearsal, delivery, description).await
    }

    /// The same for files on the operator's own machine, each judged after those before it.
    pub async fn preview_file(
        &self,
        _upkeep: &Upkeep,
        rehearsal: &mut Rehearsal,
        delivery: Delivery,
        source: SourceDescription,
    ) -> Result<Account, IngestError> {
        self.rehearse(rehearsal, delivery, source).await
    }

    async fn rehearse(
        &self,
        rehearsal: &mut Rehearsal,
        delivery: Delivery,
        source: SourceDescription,
    ) -> Result<Account, IngestError> {
        let reading = tokio::task::spawn_blocking(move || (read_pieces(&delivery, &source), delivery));
        let (records, delivery) = reading.await.map_err(|_| IngestError::Stopped)?;
        Ok(rehearsal.add(&NormalizedDelivery { delivery: &delivery, records }).await?)
    }

    /// Begins to read what landed; batches are made ready ahead of [`IngestFlow::read_batch`].
    pub fn begin_reading(&self, upkeep: &Upkeep) -> Reading {
        Reading::begin(self.store.clone(), upkeep.clone(), self.readers.clone())
    }

    /// Writes what the next batch came to; returns the deliveries that it finished, and `None` once nothing waited.
    pub async fn read_batch(
        &self,
        upkeep: &Upkeep,
        reading: &mut Reading,
    ) -> Result<Option<Vec<ReadDelivery>>, IngestError> {
        let Some(batch) = reading.next().await? else {
            self.store.measure_backlog().await?;
            return Ok(None);
        };
        let mut finished = Vec::new();
        for (receipt, failure) in &batch.failures {
            finished.extend(self.note_failure(upkeep, receipt, failure).await?);
        }
        let slices: Vec<DeliverySlice<'_>> = batch.parts.iter().map(ReadPart::slice).collect();
        match self.store.record_batch(upkeep, &slices).await {
            Ok(tallies) => finished.extend(self.finished(&slices, tallies)),
            Err(error) if error.is_refusal() => finished.extend(self.write_one_by_one(upkeep, slices).await?),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(finished))
    }

    /// One of a batch was refused: the others must not wait for it.
    async fn write_one_by_one(
        &self,
        upkeep: &Upkeep,
        slices: Vec<DeliverySlice<'_>>,
    ) -> Result<Vec<ReadDelivery>, IngestError> {
        let mut finished = Vec::new();
        for slice in slices {
            let receipt = slice.delivery.receipt.clone();
            let alone = [slice];
            match self.store.record_batch(upkeep, &alone).await {
                Ok(tallies) => finished.extend(self.finished(&alone, tallies)),
                Err(error) if error.is_refusal() => {
                    tracing::error!(%receipt, %error, "a delivery was refused by the store");
                    let failure = "the store refused what it came to";
                    finished.extend(self.note_failure(upkeep, &receipt, failure).await?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(finished)
    }

    /// Gives the delivery, once it is set aside for good.
    async fn note_failure(
        &self,
        upkeep: &Upkeep,
        receipt: &ReceiptId,
        failure: &str,
    ) -> Result<Option<ReadDelivery>, IngestError> {
        let Some(account) = self.store.note_failure(upkeep, receipt, failure).await? else { return Ok(None) };
        tracing::error!(%receipt, failure, "a delivery was set aside");
        self.metrics.set_aside.inc();
        Ok(Some(ReadDelivery { receipt: receipt.clone(), account }))
    }

    /// Counts and gives what is read to its end; where another process was faster there is nothing to tell.
    fn finished(&self, slices: &[DeliverySlice<'_>], tallies: Vec<Option<Tally>>) -> Vec<ReadDelivery> {
        let mut finished = Vec::new();
        for (slice, tally) in slices.iter().zip(tallies) {
            let Some(tally) = tally.filter(|_| slice.is_last) else { continue };
            self.count(&slice.delivery.source, &tally.account);
            finished.push(ReadDelivery { receipt: slice.delivery.receipt.clone(), account: tally.account });
        }
        finished
    }

    /// Reads the oldest delivery that waits; `None` when none does.
    pub async fn read_next(&self, upkeep: &Upkeep) -> Result<Option<(ReceiptId, Account)>, IngestError> {
        loop {
            let next = self.store.landed_after(upkeep, 0, 1, 0).await?;
            let Some(landed) = next.into_iter().next() else { return Ok(None) };
            let source = self.store.source(&landed.tenant, &landed.source).await?.ok_or(IngestError::UnknownSource)?;
            let already_read = landed.already_read;
            let reading = tokio::task::spawn_blocking(move || {
                let delivery = landed.unpack()?;
                Ok::<_, StoreError>((read_pieces(&delivery, &source), delivery))
            });
            let (records, delivery) = reading.await.map_err(|_| IngestError::Stopped)??;
            let records = records.iter().skip(already_read).collect();
            let slices = [DeliverySlice { delivery: &delivery, records, already_read, is_last: true }];
            let tallies = self.store.record_batch(upkeep, &slices).await?;
            // Nothing: another process was faster, so this one isn't `landed` any more.
            if let Some(ReadDelivery { receipt, account }) = self.finished(&slices, tallies).pop() {
                return Ok(Some((receipt, account)));
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

/// A sender hears at once that nobody has said how its rows are to be read.
fn check_mapping(delivery: &Delivery, source: &SourceDescription) -> Result<(), IngestError> {
    let needs_one = matches!(delivery.format, Format::MappedCsv | Format::MappedJson);
    if needs_one && source.mapping.is_none() { Err(IngestError::NoMapping) } else { Ok(()) }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
