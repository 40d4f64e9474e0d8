//! Reads what landed ahead of the one who writes it: unpacked, split and normalized on a few threads, in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;
use tokio::sync::mpsc;

use crate::access::Upkeep;
use crate::adapters::store::{DeliverySlice, Landed, RecordOutcome, Store, StoreError};
use crate::domain::{Delivery, QuarantineReason, ReceiptId, SourceDescription, SourceId, TenantId, Unreadable};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

/// Deliveries and bytes that are taken up together; a longer delivery is taken up by itself.
const MOST_DELIVERIES: i64 = 256;
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// Records that are written together. A longer delivery is written in several transactions, so that senders who
/// wait for theirs to land get their turn.
const MOST_RECORDS: usize = 1024;
/// Batches that are ready while another is written.
const AHEAD: usize = 1;

/// Records of one delivery that were read, in their order.
pub(super) struct ReadPart {
    pub delivery: Arc<Delivery>,
    pub records: Vec<RecordOutcome>,
    pub already_read: usize,
    pub is_last: bool,
}

impl ReadPart {
    pub fn slice(&self) -> DeliverySlice<'_> {
        let Self { delivery, records, already_read, is_last } = self;
        let (already_read, is_last) = (*already_read, *is_last);
        DeliverySlice { delivery, records: records.iter().collect(), already_read, is_last }
    }
}

/// What is written in one transaction, oldest first.
pub(super) struct Batch {
    pub parts: Vec<ReadPart>,
    /// Deliveries that can't be read at all, and why.
    pub failures: Vec<(ReceiptId, &'static str)>,
}

/// Batches as they become ready, until nothing waits; ends soon after it is dropped.
pub struct Reading {
    batches: mpsc::Receiver<Result<Batch, StoreError>>,
}

impl Reading {
    pub(super) fn begin(store: Store, upkeep: Upkeep, pool: Arc<ThreadPool>) -> Self {
        let (ready, batches) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            if let Err(error) = read_ahead(&store, &upkeep, &pool, &ready).await {
                let _ = ready.send(Err(error)).await;
            }
        });
        Self { batches }
    }

    /// `None` when nothing waited any more.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        self.batches.recv().await.transpose()
    }
}

type Sources = BTreeMap<(TenantId, SourceId), Arc<SourceDescription>>;

async fn read_ahead(
    store: &Store,
    upkeep: &Upkeep,
    pool: &Arc<ThreadPool>,
    ready: &mpsc::Sender<Result<Batch, StoreError>>,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let landed = store.landed_after(upkeep, after, MOST_DELIVERIES, MOST_BYTES).await?;
        let Some(last) = landed.last() else { return Ok(()) };
        after = last.sequence;
        let sources = sources(store, &landed).await?;
        let (pool, ready) = (pool.clone(), ready.clone());
        let reading = tokio::task::spawn_blocking(move || read_all(&pool, landed, &sources, &ready));
        let is_wanted = reading.await.map_err(|_| StoreError::Stopped)?;
        if !is_wanted {
            return Ok(());
        }
    }
}

async fn sources(store: &Store, landed: &[Landed]) -> Result<Sources, StoreError> {
    let mut sources = Sources::new();
    for delivery in landed {
        let name = (delivery.tenant.clone(), delivery.source.clone());
        if !sources.contains_key(&name)
            && let Some(source) = store.source(&name.0, &name.1).await?
        {
            sources.insert(name, Arc::new(source));
        }
    }
    Ok(sources)
}

/// Consecutive pieces of a delivery that is unpacked and split, and not yet read.
struct Unread {
    delivery: Arc<Delivery>,
    source: Arc<SourceDescription>,
    pieces: Vec<Piece>,
    already_read: usize,
    is_last: bool,
}

/// Reads these deliveries and hands them on in batches; returns whether anybody still takes them.
fn read_all(
    pool: &ThreadPool,
    landed: Vec<Landed>,
    sources: &Sources,
    ready: &mpsc::Sender<Result<Batch, StoreError>>,
) -> bool {
    let opened: Vec<_> = pool.install(|| landed.into_par_iter().map(|landed| open(landed, sources)).collect());
    let mut failures = Vec::new();
    let mut together: Vec<Unread> = Vec::new();
    let mut pieces = 0;
    let hand_on = |together: Vec<Unread>, failures| {
        let parts = pool.install(|| together.into_par_iter().map(read_part).collect());
        ready.blocking_send(Ok(Batch { parts, failures })).is_ok()
    };
    for opened in opened {
        match opened {
            Err(failure) => failures.push(failure),
            Ok(unread) => {
                for unread in unread {
                    if pieces + unread.pieces.len() > MOST_RECORDS && !together.is_empty() {
                        pieces = 0;
                        if !hand_on(std::mem::take(&mut together), std::mem::take(&mut failures)) {
                            return false;
                        }
                    }
                    pieces += unread.pieces.len();
                    together.push(unread);
                }
            }
        }
    }
    (together.is_empty() && failures.is_empty()) || hand_on(together, failures)
}

/// A delivery in parts that are each written at once.
fn open(landed: Landed, sources: &Sources) -> Result<Vec<Unread>, (ReceiptId, &'static str)> {
    let receipt = landed.receipt.clone();
    let Some(source) = sources.get(&(landed.tenant.clone(), landed.source.clone())) else {
        return Err((receipt, "its source is declared no more"));
    };
    let already_read = landed.already_read;
    let delivery = landed.unpack().map_err(|_| (receipt, "its stored bytes can't be read back"))?;
    let mut pieces = pieces(&delivery, source).into_iter().skip(already_read).peekable();
    let delivery = Arc::new(delivery);
    let mut unread: Vec<Unread> = Vec::new();
    while unread.is_empty() || pieces.peek().is_some() {
        let before = unread.last().map_or(already_read, |before| before.already_read + before.pieces.len());
        unread.push(Unread {
            delivery: delivery.clone(),
            source: source.clone(),
            pieces: pieces.by_ref().take(MOST_RECORDS).collect(),
            already_read: before,
            is_last: pieces.peek().is_none(),
        });
    }
    Ok(unread)
}

fn read_part(unread: Unread) -> ReadPart {
    let Unread { delivery, source, pieces, already_read, is_last } = unread;
    let records = pieces.into_par_iter().map(|piece| read_piece(piece, &delivery, &source)).collect();
    ReadPart { delivery, records, already_read, is_last }
}

/// Every piece of a delivery, read or with the reason why not.
pub(super) fn read_pieces(delivery: &Delivery, source: &SourceDescription) -> Vec<RecordOutcome> {
    pieces(delivery, source).into_iter().map(|piece| read_piece(piece, delivery, source)).collect()
}

/// Every piece of a delivery as it came, by its place.
pub(super) fn split_pieces(delivery: &Delivery, source: &SourceDescription) -> Vec<(u32, Vec<u8>)> {
    let part = |piece| match piece {
        Piece::Record(record) => (record.ordinal, record.bytes),
        Piece::Unreadable { ordinal, bytes, .. } => (ordinal, bytes),
    };
    pieces(delivery, source).into_iter().map(part).collect()
}

/// A defect in splitting costs the delivery it is met in, never the feed.
fn pieces(delivery: &Delivery, source: &SourceDescription) -> Vec<Piece> {
    match guarded(|| split(delivery, source.mapping.as_ref())) {
        Ok(pieces) => pieces,
        Err(unreadable) => vec![Piece::Unreadable { ordinal: 0, bytes: delivery.bytes.clone(), unreadable }],
    }
}

/// A defect in a reader costs the record it is met in, never the feed.
fn read_piece(piece: Piece, delivery: &Delivery, source: &SourceDescription) -> RecordOutcome {
    let origin =
        Origin { source, format: delivery.format, name: delivery.name.as_deref(), received_at: delivery.received_at };
    let (ordinal, bytes, result) = match piece {
        Piece::Record(record) => {
            let result = guarded(|| normalize(&record, &origin)).and_then(|read| read);
            (record.ordinal, record.bytes, result)
        }
        Piece::Unreadable { ordinal, bytes, unreadable } => (ordinal, bytes, Err(unreadable)),
    };
    RecordOutcome::new(&delivery.source, ordinal, bytes, result)
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
