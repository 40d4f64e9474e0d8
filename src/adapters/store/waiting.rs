//! What has landed and waits to be read: in order, with its size, and set aside when it can't be read at all.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::FromRow;

use super::deliveries::DeliveryRow;
use super::outcomes::Tally;
use super::sqlite::Connection;
use super::{Store, StoreError, rows};
use crate::access::Upkeep;
use crate::domain::{Account, Delivery, QuarantineId, QuarantineReason, ReceiptId, SourceId, TenantId, Timestamp};

/// How often a delivery is tried before it is set aside.
const MOST_ATTEMPTS: i64 = 3;

/// How much has landed and waits to be read. Exact as long as one process writes; measured anew now and then.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: AtomicU64,
    deliveries: AtomicU64,
}

impl Backlog {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.deliveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, bytes: usize) {
        let less = |amount: u64| move |held: u64| Some(held.saturating_sub(amount));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less(bytes as u64));
        let _ = self.deliveries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less(1));
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }
}

/// A delivery that waits, as it lies there.
pub struct Landed {
    pub sequence: i64,
    pub receipt: ReceiptId,
    pub tenant: TenantId,
    pub source: SourceId,
    /// Records of it that have been read before.
    pub already_read: usize,
    row: DeliveryRow,
}

impl Landed {
    /// The delivery as it came. Unpacking computes: not for a thread that serves.
    pub fn unpack(self) -> Result<Delivery, StoreError> {
        self.row.try_into()
    }
}

#[derive(FromRow)]
struct LandedRow {
    sequence: i64,
    already_read: i64,
    #[sqlx(flatten)]
    delivery: DeliveryRow,
}

impl Store {
    /// How much waits to be read.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Counts what waits anew: another process may have landed or read deliveries.
    pub async fn measure_backlog(&self) -> Result<(), StoreError> {
        const WAITING: &str = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM delivery WHERE state = 'landed'";
        let (deliveries, bytes): (i64, i64) = sqlx::query_as(WAITING).fetch_one(&self.reader).await?;
        self.backlog.deliveries.store(rows::number(deliveries, "backlog")?, Ordering::Relaxed);
        self.backlog.bytes.store(rows::number(bytes, "backlog")?, Ordering::Relaxed);
        Ok(())
    }

    /// How many deliveries are set aside.
    pub async fn deliveries_set_aside(&self, _upkeep: &Upkeep) -> Result<u64, StoreError> {
        const FAILED: &str = "SELECT COUNT(*) FROM delivery WHERE state = 'failed'";
        rows::number(sqlx::query_scalar(FAILED).fetch_one(&self.reader).await?, "count")
    }

    /// The oldest delivery that hasn't been read yet.
    pub async fn next_landed(&self, upkeep: &Upkeep) -> Result<Option<Delivery>, StoreError> {
        let next = self.landed_after(upkeep, 0, 1, 0).await?;
        next.into_iter().next().map(Landed::unpack).transpose()
    }

    /// Deliveries that wait, oldest first, past the one numbered `after`: at most `most`, and no more once they
    /// hold `bytes` together.
    pub async fn landed_after(
        &self,
        _upkeep: &Upkeep,
        after: i64,
        most: i64,
        bytes: u64,
    ) -> Result<Vec<Landed>, StoreError> {
        const SIZES: &str =
            "SELECT sequence, size FROM delivery WHERE state = 'landed' AND sequence > $1 ORDER BY sequence LIMIT $2";
        const LANDED: &str = "SELECT d.sequence, COALESCE(p.records, 0) AS already_read, d.receipt, d.tenant, d.source, \
            d.format, d.name, d.bytes, d.size, d.received_at FROM delivery d \
            LEFT JOIN reading_progress p ON p.receipt = d.receipt \
            WHERE d.state = 'landed' AND d.sequence > $1 AND d.sequence <= $2 ORDER BY d.sequence";
        let sizes: Vec<(i64, i64)> = sqlx::query_as(SIZES).bind(after).bind(most).fetch_all(&self.reader).await?;
        let mut total = 0_u64;
        let fitting = sizes.iter().take_while(|(_, size)| {
            let fits = total < bytes.max(1);
            total = total.saturating_add(u64::try_from(*size).unwrap_or(0));
            fits
        });
        let Some((last, _)) = fitting.last() else { return Ok(Vec::new()) };
        let rows: Vec<LandedRow> = sqlx::query_as(LANDED).bind(after).bind(last).fetch_all(&self.reader).await?;
        rows.into_iter().map(Landed::try_from).collect()
    }

    /// Notes that a delivery could not be taken in; after a few times it is set aside, so that it is tried no
    /// more. Returns what it came to, once it is.
    pub async fn note_failure(
        &self,
        _upkeep: &Upkeep,
        receipt: &ReceiptId,
        failure: &str,
    ) -> Result<Option<Account>, StoreError> {
        const TRIED: &str = "UPDATE delivery SET attempts = attempts + 1 WHERE receipt = $1 AND state = 'landed' \
            RETURNING attempts, tenant, source, size";
        let mut transaction = self.begin_write().await?;
        let tried: Option<(i64, String, String, i64)> =
            sqlx::query_as(TRIED).bind(receipt.as_str()).fetch_optional(&mut *transaction).await?;
        let Some((attempts, tenant, source, size)) = tried else { return Ok(None) };
        let mut account = None;
        if attempts >= MOST_ATTEMPTS {
            account = Some(set_aside(&mut transaction, receipt, (&tenant, &source, size), failure).await?);
        }
        transaction.commit().await?;
        if account.is_some() {
            self.backlog.remove(usize::try_from(size).unwrap_or(0));
        }
        Ok(account)
    }
}

/// It goes to quarantine as a whole, without a second copy of its bytes, and can be read again from there.
async fn set_aside(
    connection: &mut Connection,
    receipt: &ReceiptId,
    (tenant, source, size): (&str, &str, i64),
    failure: &str,
) -> Result<Account, StoreError> {
    const FAILED: &str = "UPDATE delivery SET state = 'failed', failure = $1, account = $2 WHERE receipt = $3";
    const HOLD: &str = "INSERT INTO quarantine \
        (id, tenant, source, receipt, ordinal, reason, detail, bytes, size, quarantined_at, state) \
        VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, 'held') ON CONFLICT (receipt, ordinal) DO UPDATE SET \
        reason = excluded.reason, detail = excluded.detail, bytes = excluded.bytes, size = excluded.size";
    const ENDED: &str = "DELETE FROM reading_progress WHERE receipt = $1 RETURNING account";
    let reason = QuarantineReason::ReaderFailed;
    let so_far: Option<String> =
        sqlx::query_scalar(ENDED).bind(receipt.as_str()).fetch_optional(&mut *connection).await?;
    let so_far = so_far.as_deref().map(serde_json::from_str).transpose();
    let mut account: Account = so_far.map_err(|_| StoreError::Corrupt { what: "account" })?.unwrap_or_default();
    account.records += 1;
    *account.quarantined.entry(reason).or_default() += 1;
    let text = serde_json::to_string(&account).expect("counts always serialize");
    sqlx::query(FAILED).bind(failure).bind(text).bind(receipt.as_str()).execute(&mut *connection).await?;
    sqlx::query(HOLD)
        .bind(QuarantineId::fresh().as_str())
        .bind(tenant)
        .bind(source)
        .bind(receipt.as_str())
        .bind(reason.as_str())
        .bind(failure)
        .bind(Vec::<u8>::new())
        .bind(size)
        .bind(Timestamp::now().as_micros())
        .execute(connection)
        .await?;
    Ok(account)
}

/// A delivery that was set aside and could be read after all is like any other.
pub(super) async fn end_failure(
    connection: &mut Connection,
    receipt: &ReceiptId,
    tally: &Tally,
) -> Result<(), StoreError> {
    const READ: &str = "UPDATE delivery SET state = 'normalized', failure = NULL, last_change = $1, account = $2 \
        WHERE receipt = $3 AND state = 'failed'";
    let account = serde_json::to_string(&tally.account).expect("counts always serialize");
    let read = sqlx::query(READ).bind(tally.last_change).bind(account).bind(receipt.as_str());
    read.execute(connection).await?;
    Ok(())
}

impl TryFrom<LandedRow> for Landed {
    type Error = StoreError;

    fn try_from(row: LandedRow) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: row.sequence,
            receipt: ReceiptId::new(row.delivery.receipt.as_str()),
            tenant: TenantId::new(row.delivery.tenant.as_str()),
            source: SourceId::new(row.delivery.source.as_str()),
            already_read: rows::number(row.already_read, "reading progress")?,
            row: row.delivery,
        })
    }
}
