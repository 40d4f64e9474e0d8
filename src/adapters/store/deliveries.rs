//! Deliveries as they came, and how each fares.

use std::cell::RefCell;

use sqlx::FromRow;
use zstd::bulk::Decompressor;

use super::{Store, StoreError};
use crate::access::{Access, Operation};
use crate::domain::{Account, Delivery, Format, ReceiptId, SourceId, TenantId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// Durable; not yet read.
    Landed,
    /// Read: its documents are in the store, what couldn't be read is in quarantine.
    Normalized,
    /// Set aside: it could not be written, or not be read back.
    Failed,
}

impl ReceiptState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Normalized => "normalized",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Landed, Self::Normalized, Self::Failed].into_iter().find(|state| state.as_str() == text)
    }
}

/// How a delivery fares, for its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub id: ReceiptId,
    pub source: SourceId,
    pub state: ReceiptState,
    pub received_at: Timestamp,
    /// The last change it made; `None` while landed, or when it changed nothing.
    pub last_change: Option<i64>,
    pub account: Option<Account>,
    /// Why it was set aside, in words that hold nothing of it.
    pub failure: Option<String>,
}

#[derive(FromRow)]
struct ReceiptRow {
    receipt: String,
    source: String,
    state: String,
    received_at: i64,
    last_change: Option<i64>,
    account: Option<String>,
    failure: Option<String>,
}

#[derive(FromRow)]
pub(super) struct DeliveryRow {
    pub receipt: String,
    pub tenant: String,
    pub source: String,
    format: String,
    name: Option<String>,
    bytes: Vec<u8>,
    size: i64,
    received_at: i64,
}

thread_local! {
    /// Its working memory is dear to set up beside a small delivery.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn decompress(bytes: &[u8], size: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = match kept.take() {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        let decompressed = decompressor.decompress(bytes, size);
        *kept = Some(decompressor);
        decompressed
    })
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let size = super::rows::number(row.size, "delivery size")?;
        let bytes = decompress(&row.bytes, size).map_err(|_| StoreError::Corrupt { what: "delivery" })?;
        Ok(Delivery {
            receipt: ReceiptId::new(row.receipt),
            tenant: TenantId::new(row.tenant),
            source: SourceId::new(row.source),
            format: Format::parse(&row.format).ok_or(StoreError::Corrupt { what: "delivery format" })?,
            name: row.name,
            bytes,
            received_at: Timestamp::from_micros(row.received_at),
        })
    }
}

impl Store {
    /// A delivery as it came.
    pub(super) async fn delivery(
        &self,
        tenant: &TenantId,
        receipt: &ReceiptId,
    ) -> Result<Option<Delivery>, StoreError> {
        const ONE: &str = "SELECT receipt, tenant, source, format, name, bytes, size, received_at FROM delivery \
            WHERE tenant = $1 AND receipt = $2";
        let row: Option<DeliveryRow> =
            sqlx::query_as(ONE).bind(tenant.as_str()).bind(receipt.as_str()).fetch_optional(&self.reader).await?;
        row.map(Delivery::try_from).transpose()
    }

    /// A receipt, for a caller who may send to its source; for anybody else there is none.
    pub async fn receipt(&self, access: &Access, id: &ReceiptId) -> Result<Option<Receipt>, StoreError> {
        const ONE: &str = "SELECT receipt, source, state, received_at, last_change, account, failure FROM delivery \
            WHERE tenant = $1 AND receipt = $2";
        let row: Option<ReceiptRow> =
            sqlx::query_as(ONE).bind(access.tenant().as_str()).bind(id.as_str()).fetch_optional(&self.reader).await?;
        let receipt = row.map(Receipt::try_from).transpose()?;
        Ok(receipt.filter(|receipt| access.permit(Operation::Ingest(receipt.source.clone())).is_ok()))
    }
}

impl TryFrom<ReceiptRow> for Receipt {
    type Error = StoreError;

    fn try_from(row: ReceiptRow) -> Result<Self, StoreError> {
        let account = row.account.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Receipt {
            id: ReceiptId::new(row.receipt),
            source: SourceId::new(row.source),
            state: ReceiptState::parse(&row.state).ok_or(StoreError::Corrupt { what: "delivery state" })?,
            received_at: Timestamp::from_micros(row.received_at),
            last_change: row.last_change,
            account: account.map_err(|_| StoreError::Corrupt { what: "account" })?,
            failure: row.failure,
        })
    }
}
