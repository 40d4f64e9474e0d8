//! What could not be read, with its bytes and reason, until it is replayed.

use sqlx::FromRow;

use super::outcomes::RecordOutcome;
use super::{Store, StoreError, rows};
use crate::access::Permit;
use crate::domain::{Account, Delivery, QuarantineId, ReceiptId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    Held,
    Replayed,
}

impl QuarantineState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Replayed => "replayed",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct QuarantineItem {
    pub id: QuarantineId,
    pub source: String,
    pub receipt: ReceiptId,
    pub ordinal: u32,
    pub reason: String,
    pub detail: String,
    /// Of the record, in bytes.
    pub size: u64,
    pub quarantined_at: Timestamp,
    pub state: QuarantineState,
}

#[derive(FromRow)]
struct ItemRow {
    id: String,
    source: String,
    receipt: String,
    ordinal: i64,
    reason: String,
    detail: String,
    size: i64,
    quarantined_at: i64,
    state: String,
}

impl TryFrom<ItemRow> for QuarantineItem {
    type Error = StoreError;

    fn try_from(row: ItemRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: QuarantineId::new(row.id),
            source: row.source,
            receipt: ReceiptId::new(row.receipt),
            ordinal: rows::number(row.ordinal, "record ordinal")?,
            reason: row.reason,
            detail: row.detail,
            size: rows::number(row.size, "record size")?,
            quarantined_at: Timestamp::from_micros(row.quarantined_at),
            state: if row.state == "held" { QuarantineState::Held } else { QuarantineState::Replayed },
        })
    }
}

impl Store {
    /// Oldest first, after `cursor` (an item's id).
    pub async fn quarantine(
        &self,
        permit: &Permit,
        cursor: Option<&str>,
        limit: i64,
    ) -> Result<Vec<QuarantineItem>, StoreError> {
        const PAGE: &str = "SELECT id, source, receipt, ordinal, reason, detail, size, quarantined_at, state \
            FROM quarantine WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
        let rows: Vec<ItemRow> = sqlx::query_as(PAGE)
            .bind(permit.tenant().as_str())
            .bind(cursor.unwrap_or_default())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        rows.into_iter().map(QuarantineItem::try_from).collect()
    }

    /// The record's bytes. Of a delivery that was set aside they are kept with the delivery only.
    pub async fn quarantined_bytes(&self, permit: &Permit, id: &QuarantineId) -> Result<Option<Vec<u8>>, StoreError> {
        const BYTES: &str = "SELECT bytes, size, receipt FROM quarantine WHERE tenant = $1 AND id = $2";
        let found: Option<(Vec<u8>, i64, String)> =
            sqlx::query_as(BYTES).bind(permit.tenant().as_str()).bind(id.as_str()).fetch_optional(&self.reader).await?;
        match found {
            Some((bytes, size, receipt)) if bytes.is_empty() && size > 0 => {
                let delivery = self.delivery(permit.tenant(), &ReceiptId::new(receipt)).await?;
                Ok(delivery.map(|delivery| delivery.bytes))
            }
            found => Ok(found.map(|(bytes, ..)| bytes)),
        }
    }

    /// An item with the delivery it came in, to be read again.
    pub async fn quarantined(
        &self,
        permit: &Permit,
        id: &QuarantineId,
    ) -> Result<Option<(QuarantineItem, Delivery)>, StoreError> {
        const ONE: &str = "SELECT id, source, receipt, ordinal, reason, detail, size, quarantined_at, state \
            FROM quarantine WHERE tenant = $1 AND id = $2";
        let row: Option<ItemRow> =
            sqlx::query_as(ONE).bind(permit.tenant().as_str()).bind(id.as_str()).fetch_optional(&self.reader).await?;
        let Some(item) = row.map(QuarantineItem::try_from).transpose()? else { return Ok(None) };
        let delivery = self.delivery(permit.tenant(), &item.receipt).await?;
        Ok(delivery.map(|delivery| (item, delivery)))
    }

    /// Writes what was held came to when it was read again.
    pub async fn replay(
        &self,
        _permit: &Permit,
        item: &QuarantineItem,
        delivery: &Delivery,
        records: &[RecordOutcome],
    ) -> Result<Account, StoreError> {
        self.record_replay(delivery, records, item).await
    }
}
