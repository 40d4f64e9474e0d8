//! Landing: what was sent is on disk before it is acknowledged, and is kept verbatim.
//!
//! Deliveries that come at once are written by one task, many in a transaction: they share its wait for the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use zstd::bulk::Compressor;

use super::bulk::BulkInsert;
use super::sqlite::{self, Pool, WriteTransaction};
use super::waiting::Backlog;
use super::{Store, StoreError, take_numbers};
use crate::domain::Delivery;

/// zstd's own default: fast, and records are repetitive.
const COMPRESSION_LEVEL: i32 = 3;
/// Larger bodies are compressed off the threads that serve.
const LARGE_BYTES: usize = 64 * 1024;
/// Deliveries that wait to be written; a sender beyond them waits for a place.
const QUEUE: usize = 512;
/// Deliveries of one transaction, and the compressed bytes after which it takes no more.
const MOST_TOGETHER: usize = 256;
const MOST_BYTES_TOGETHER: usize = 8 * 1024 * 1024;

static LAND: BulkInsert = BulkInsert::new(
    "INSERT INTO delivery (receipt, sequence, tenant, source, format, name, sha256, bytes, size, received_at, state)",
    11,
    "",
);

/// A delivery ready to be written.
pub(super) struct Sealed {
    delivery: Delivery,
    sha256: String,
    compressed: Vec<u8>,
}

/// One that waits, and where its sender waits to hear.
struct Waiting {
    sealed: Sealed,
    told: oneshot::Sender<Result<(), StoreError>>,
}

/// The way to the task that writes; the task ends with its last handle.
#[derive(Clone)]
pub(super) struct Landing {
    queue: mpsc::Sender<Waiting>,
}

impl Landing {
    pub fn begin(writer: Pool, backlog: Arc<Backlog>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(writer, backlog, waiting));
        Self { queue }
    }
}

impl Store {
    /// Writes a delivery and waits for the disk: only then may it be acknowledged.
    pub async fn land(&self, delivery: Delivery) -> Result<(), StoreError> {
        let sealed = if delivery.bytes.len() > LARGE_BYTES {
            tokio::task::spawn_blocking(move || Sealed::seal(delivery)).await.map_err(|_| StoreError::Stopped)?
        } else {
            Sealed::seal(delivery)
        };
        let (told, hears) = oneshot::channel();
        self.landing.queue.send(Waiting { sealed: sealed?, told }).await.map_err(|_| StoreError::Stopped)?;
        hears.await.map_err(|_| StoreError::Stopped)?
    }
}

thread_local! {
    /// Its working memory is dear to set up beside a small delivery.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = match kept.take() {
            Some(compressor) => compressor,
            None => Compressor::new(COMPRESSION_LEVEL)?,
        };
        let compressed = compressor.compress(bytes);
        *kept = Some(compressor);
        compressed
    })
}

impl Sealed {
    pub(super) fn seal(delivery: Delivery) -> Result<Self, StoreError> {
        let compressed = compress(&delivery.bytes).map_err(|_| StoreError::Corrupt { what: "delivery" })?;
        Ok(Self { sha256: hex::encode(Sha256::digest(&delivery.bytes)), compressed, delivery })
    }

    pub(super) fn delivery(&self) -> &Delivery {
        &self.delivery
    }
}

async fn write_all(writer: Pool, backlog: Arc<Backlog>, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        let mut bytes = first.sealed.compressed.len();
        let mut together = vec![first];
        while together.len() < MOST_TOGETHER && bytes < MOST_BYTES_TOGETHER {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.sealed.compressed.len();
            together.push(next);
        }
        write_together(&writer, &backlog, together).await;
    }
}

/// Writes them in one transaction, or, where that fails, each by itself, so that each sender hears of its own.
async fn write_together(writer: &Pool, backlog: &Backlog, together: Vec<Waiting>) {
    let (sealed, tellers): (Vec<Sealed>, Vec<_>) =
        together.into_iter().map(|waiting| (waiting.sealed, waiting.told)).unzip();
    let written = write(writer, &sealed).await;
    let is_alone = sealed.len() == 1;
    if written.is_ok() || is_alone {
        let mut written = Some(written);
        for (sealed, told) in sealed.iter().zip(tellers) {
            let told_of = written.take().unwrap_or(Ok(()));
            if told_of.is_ok() {
                backlog.add(sealed.delivery.bytes.len());
            }
            // Who has gone away meanwhile needs no answer.
            let _ = told.send(told_of);
        }
        return;
    }
    for (sealed, told) in sealed.into_iter().zip(tellers) {
        let size = sealed.delivery.bytes.len();
        let written = write(writer, &[sealed]).await;
        if written.is_ok() {
            backlog.add(size);
        }
        let _ = told.send(written);
    }
}

async fn write(writer: &Pool, together: &[Sealed]) -> Result<(), StoreError> {
    let mut transaction = sqlite::begin_write(writer).await?;
    insert(&mut transaction, together).await?;
    Ok(transaction.commit().await?)
}

/// Writes deliveries as part of a transaction.
pub(super) async fn insert(transaction: &mut WriteTransaction<'_>, together: &[Sealed]) -> Result<(), StoreError> {
    let first = take_numbers(transaction, "delivery", together.len() as i64).await?;
    let numbered: Vec<(i64, &Sealed)> = (first..).zip(together).collect();
    let insert = LAND.run(transaction, &numbered, |row, (sequence, sealed)| {
        let delivery = &sealed.delivery;
        row.bind(delivery.receipt.as_str())
            .bind(*sequence)
            .bind(delivery.tenant.as_str())
            .bind(delivery.source.as_str())
            .bind(delivery.format.as_str())
            .bind(delivery.name.as_deref())
            .bind(sealed.sha256.as_str())
            .bind(sealed.compressed.as_slice())
            .bind(delivery.bytes.len() as i64)
            .bind(delivery.received_at.as_micros())
            .bind("landed")
    });
    insert.await?;
    note_heard(transaction, together).await
}

/// Notes on each source when it was last heard from.
async fn note_heard(transaction: &mut WriteTransaction<'_>, together: &[Sealed]) -> Result<(), StoreError> {
    const HEARD: &str = "UPDATE source SET last_received_at = $1 WHERE tenant = $2 AND name = $3";
    let heard = together.iter().map(|sealed| &sealed.delivery);
    let heard: BTreeMap<_, _> =
        heard.map(|delivery| ((&delivery.tenant, &delivery.source), delivery.received_at)).collect();
    for ((tenant, source), received_at) in heard {
        sqlx::query(HEARD)
            .bind(received_at.as_micros())
            .bind(tenant.as_str())
            .bind(source.as_str())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
