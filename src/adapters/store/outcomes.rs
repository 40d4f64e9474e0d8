//! What deliveries came to, written together: versions, facts, changes, findings, quarantine, accounts.

use sqlx::{AssertSqlSafe, FromRow};

use super::bulk::ListStatement;
use super::known::Known;
use super::ledger::{Ledger, Origin};
use super::merges::{self, Merged};
use super::sqlite::Connection;
use super::{QuarantineItem, Store, StoreError, flush};
use crate::access::Upkeep;
use crate::domain::{
    Account, ContentHash, Delivery, Document, DocumentId, Normalized, Outcome, PatientMerge, ReceiptId, SourceId,
    TenantId, Unreadable,
};

/// What waits to be written goes to the database at this number of versions, in the same transaction.
const MOST_PENDING: usize = 4096;

/// A document's id and what its content comes to, worked out where the record was read.
#[derive(Debug)]
pub(super) struct Named {
    pub id: DocumentId,
    pub content_hash: ContentHash,
}

/// One record of a delivery, read or not.
#[derive(Debug)]
pub struct RecordOutcome {
    pub ordinal: u32,
    /// The record's bytes, kept beside the reason when it couldn't be read; else empty.
    pub bytes: Vec<u8>,
    pub result: Result<Normalized, Unreadable>,
    /// Of its documents, in their order.
    pub(super) documents: Vec<Named>,
    /// What its removals name, in their order.
    pub(super) removed: Vec<DocumentId>,
}

impl RecordOutcome {
    /// Works out the ids and hashes too, so that it is best made off the threads that write.
    pub fn new(source: &SourceId, ordinal: u32, bytes: Vec<u8>, result: Result<Normalized, Unreadable>) -> Self {
        let named = |document: &Document| Named {
            id: DocumentId::derive(source, &document.source_key),
            content_hash: document.content_hash(),
        };
        let (mut documents, mut removed) = (Vec::new(), Vec::new());
        match result.as_ref().map(|normalized| &normalized.outcome) {
            Ok(Outcome::Documents(found)) => documents = found.iter().map(named).collect(),
            Ok(Outcome::Removed { source_key }) => removed.push(DocumentId::derive(source, source_key)),
            Ok(Outcome::Changes(changes)) => {
                documents = changes.documents.iter().map(named).collect();
                let keys = changes.removals.iter().map(|removal| removal.source_key.as_str());
                removed = keys.map(|key| DocumentId::derive(source, key)).collect();
            }
            Ok(Outcome::CarriesNothing { .. }) | Err(_) => {}
        }
        let bytes = if result.is_err() { bytes } else { Vec::new() };
        Self { ordinal, bytes, result, documents, removed }
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.result.as_ref().ok().map(|normalized| &normalized.outcome)
    }

    /// The document that stands for the record.
    pub(super) fn base(&self) -> Option<&DocumentId> {
        self.documents.first().map(|named| &named.id)
    }

    fn merges(&self) -> &[PatientMerge] {
        match self.outcome() {
            Some(Outcome::Changes(changes)) => &changes.merges,
            _ => &[],
        }
    }
}

/// A delivery with what became of each of its records.
#[derive(Debug)]
pub struct NormalizedDelivery<'a> {
    pub delivery: &'a Delivery,
    pub records: Vec<RecordOutcome>,
}

/// Consecutive records of a delivery: all of a short one, a part of a long one.
#[derive(Debug)]
pub struct DeliverySlice<'a> {
    pub delivery: &'a Delivery,
    pub records: Vec<&'a RecordOutcome>,
    /// How many of its records stand before these.
    pub already_read: usize,
    /// Whether the delivery ends with these.
    pub is_last: bool,
}

impl<'a> DeliverySlice<'a> {
    pub fn whole(delivery: &'a Delivery, records: &'a [RecordOutcome]) -> Self {
        Self { delivery, records: records.iter().collect(), already_read: 0, is_last: true }
    }
}

/// What a delivery has come to so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub account: Account,
    /// The number of the last change it made.
    pub last_change: Option<i64>,
}

impl Tally {
    fn add(&mut self, merged: &Merged) {
        self.account.documents += merged.documents;
        self.account.changed += merged.documents;
        self.account.facts += merged.facts;
        self.last_change = merged.last_change.or(self.last_change);
    }
}

#[derive(FromRow)]
struct ProgressRow {
    receipt: String,
    records: Option<i64>,
    last_change: Option<i64>,
    account: Option<String>,
}

static WAITING: ListStatement = ListStatement::new(
    "WITH wanted (id) AS (VALUES",
    1,
    ") SELECT DISTINCT d.receipt, p.records, p.last_change, p.account FROM wanted \
     JOIN delivery d ON d.receipt = wanted.id LEFT JOIN reading_progress p ON p.receipt = d.receipt \
     WHERE d.state = 'landed'",
);

impl Store {
    /// Writes what a delivery came to and marks it read, all or nothing.
    ///
    /// Errors: [`StoreError::AlreadyRead`] when another reader was first; nothing is written then.
    pub async fn record_outcomes(
        &self,
        upkeep: &Upkeep,
        normalized: &NormalizedDelivery<'_>,
    ) -> Result<Account, StoreError> {
        let whole = DeliverySlice::whole(normalized.delivery, &normalized.records);
        let tallies = self.record_batch(upkeep, &[whole]).await?;
        let tally = tallies.into_iter().next().flatten().ok_or(StoreError::AlreadyRead)?;
        Ok(tally.account)
    }

    /// Writes what these came to in one transaction, in their order. Gives for each what its delivery has come to
    /// so far; `None` where another reader was first, and nothing of it is written then.
    pub async fn record_batch(
        &self,
        _upkeep: &Upkeep,
        slices: &[DeliverySlice<'_>],
    ) -> Result<Vec<Option<Tally>>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut tallies = claim(&mut transaction, slices).await?;
        let mut tenants: Vec<&TenantId> = slices.iter().map(|slice| &slice.delivery.tenant).collect();
        tenants.sort();
        tenants.dedup();
        for tenant in tenants {
            let mut known = Known::default();
            take_in(&mut transaction, Effect::Written, tenant, &mut known, slices, &mut tallies).await?;
        }
        for (slice, tally) in slices.iter().zip(&tallies) {
            if let Some(tally) = tally {
                note_progress(&mut transaction, slice, tally).await?;
            }
        }
        transaction.commit().await?;
        let read = slices.iter().zip(&tallies).filter(|(slice, tally)| slice.is_last && tally.is_some());
        read.for_each(|(slice, _)| self.backlog.remove(slice.delivery.bytes.len()));
        Ok(tallies)
    }

    /// Writes what was held came to when it was read again, and lets it go from quarantine if it could be.
    /// A delivery that was held whole may come apart into several records, each with an end of its own.
    pub(super) async fn record_replay(
        &self,
        delivery: &Delivery,
        records: &[RecordOutcome],
        item: &QuarantineItem,
    ) -> Result<Account, StoreError> {
        const RELEASE: &str = "UPDATE quarantine SET state = 'replayed' WHERE id = $1";
        const HOLD: &str = "UPDATE quarantine SET reason = $1, detail = $2, bytes = $3, size = $4 WHERE id = $5";
        let mut transaction = self.begin_write().await?;
        let (held, other): (Vec<&RecordOutcome>, Vec<&RecordOutcome>) =
            records.iter().partition(|record| record.ordinal == item.ordinal && record.result.is_err());
        let slices = [DeliverySlice { delivery, records: other, already_read: 0, is_last: true }];
        let mut tallies = [Some(Tally::default())];
        let mut known = Known::default();
        take_in(&mut transaction, Effect::Written, &delivery.tenant, &mut known, &slices, &mut tallies).await?;
        for record in &held {
            let Err(unreadable) = &record.result else { continue };
            sqlx::query(HOLD)
                .bind(unreadable.reason.as_str())
                .bind(&unreadable.detail)
                .bind(&record.bytes)
                .bind(record.bytes.len() as i64)
                .bind(item.id.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        if held.is_empty() {
            sqlx::query(RELEASE).bind(item.id.as_str()).execute(&mut *transaction).await?;
        }
        let [tally] = tallies;
        let tally = tally.unwrap_or_default();
        super::waiting::end_failure(&mut transaction, &delivery.receipt, &tally).await?;
        transaction.commit().await?;
        Ok(tally.account)
    }
}

/// Whether effects reach the database, or are only counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Written,
    Rehearsed,
}

/// What each delivery has come to before; `None` for those that wait no more, or not at this record.
///
/// The write lock is held from the beginning, so what is seen here still holds at the commit.
async fn claim(connection: &mut Connection, slices: &[DeliverySlice<'_>]) -> Result<Vec<Option<Tally>>, StoreError> {
    let receipts: Vec<&ReceiptId> = slices.iter().map(|slice| &slice.delivery.receipt).collect();
    let mut waiting = std::collections::HashMap::new();
    for (text, batch) in WAITING.batches(&receipts) {
        let mut select = sqlx::query_as::<_, ProgressRow>(AssertSqlSafe(text));
        for receipt in batch {
            select = select.bind(receipt.as_str());
        }
        for row in select.fetch_all(&mut *connection).await? {
            waiting.insert(row.receipt.clone(), row);
        }
    }
    let tally = |slice: &DeliverySlice<'_>| {
        let Some(row) = waiting.get(slice.delivery.receipt.as_str()) else { return Ok(None) };
        if usize::try_from(row.records.unwrap_or(0)) != Ok(slice.already_read) {
            return Ok(None);
        }
        let account = row.account.as_deref().map(serde_json::from_str).transpose();
        let account = account.map_err(|_| StoreError::Corrupt { what: "account" })?.unwrap_or_default();
        Ok(Some(Tally { account, last_change: row.last_change }))
    };
    slices.iter().map(tally).collect()
}

/// Takes in one tenant's records of a batch; what has no tally is passed over.
pub(super) async fn take_in(
    connection: &mut Connection,
    effect: Effect,
    tenant: &TenantId,
    known: &mut Known,
    slices: &[DeliverySlice<'_>],
    tallies: &mut [Option<Tally>],
) -> Result<(), StoreError> {
    let claimed = |(_, (slice, tally)): &(usize, (&DeliverySlice<'_>, &Option<Tally>))| {
        tally.is_some() && slice.delivery.tenant == *tenant
    };
    let mine: Vec<usize> = slices.iter().zip(&*tallies).enumerate().filter(claimed).map(|(number, _)| number).collect();
    let records: Vec<(usize, &Delivery, &RecordOutcome)> = mine
        .into_iter()
        .filter_map(|number| slices.get(number).map(|slice| (number, slice)))
        .flat_map(|(number, slice)| slice.records.iter().map(move |record| (number, slice.delivery, *record)))
        .collect();
    let read: Vec<&RecordOutcome> = records.iter().map(|(_, _, record)| *record).collect();
    known.read(connection, tenant, &read).await?;
    let mut ledger = Ledger::new(known);
    for (slice, delivery, record) in records {
        let origin = Origin { slice, delivery, ordinal: record.ordinal };
        if !record.merges().is_empty() || ledger.pending() >= MOST_PENDING {
            settle(connection, effect, tenant, &mut ledger, tallies).await?;
        }
        let Some(tally) = tallies.get_mut(slice).and_then(Option::as_mut) else { continue };
        let mut has_merged = false;
        for merge in record.merges() {
            let merged = match effect {
                Effect::Written => merges::apply(connection, tenant, ledger.known, origin, merge).await?,
                Effect::Rehearsed => merges::rehearse(connection, tenant, ledger.known, origin, merge).await?,
            };
            has_merged |= merged.is_news;
            tally.add(&merged);
        }
        ledger.record(origin, record, has_merged, &mut tally.account);
    }
    settle(connection, effect, tenant, &mut ledger, tallies).await
}

/// Writes what is pending, and notes for each delivery the last change it made.
async fn settle(
    connection: &mut Connection,
    effect: Effect,
    tenant: &TenantId,
    ledger: &mut Ledger<'_, '_>,
    tallies: &mut [Option<Tally>],
) -> Result<(), StoreError> {
    let pending = ledger.take_pending();
    if effect == Effect::Rehearsed {
        return Ok(());
    }
    let mut note = |slice: usize, sequence| {
        if let Some(Some(tally)) = tallies.get_mut(slice) {
            tally.last_change = Some(sequence);
        }
    };
    flush::write(connection, tenant, &pending, &mut note).await
}

/// Marks a delivery as read, or how far it has been.
async fn note_progress(
    connection: &mut Connection,
    slice: &DeliverySlice<'_>,
    tally: &Tally,
) -> Result<(), StoreError> {
    const READ: &str = "UPDATE delivery SET state = 'normalized', last_change = $1, account = $2 WHERE receipt = $3";
    const CLEAR: &str = "DELETE FROM reading_progress WHERE receipt = $1";
    const KEEP: &str = "INSERT INTO reading_progress (records, last_change, account, receipt) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (receipt) DO UPDATE SET records = excluded.records, \
        last_change = excluded.last_change, account = excluded.account";
    let account = serde_json::to_string(&tally.account).expect("counts always serialize");
    let receipt = slice.delivery.receipt.as_str();
    if !slice.is_last {
        let records = (slice.already_read + slice.records.len()) as i64;
        let keep = sqlx::query(KEEP).bind(records).bind(tally.last_change).bind(account).bind(receipt);
        keep.execute(connection).await?;
        return Ok(());
    }
    sqlx::query(READ).bind(tally.last_change).bind(account).bind(receipt).execute(&mut *connection).await?;
    if slice.already_read > 0 {
        sqlx::query(CLEAR).bind(receipt).execute(connection).await?;
    }
    Ok(())
}
