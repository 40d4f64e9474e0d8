//! Reads a quarantined record again, with what the code and the source's description are now.

use super::ingest::read_pieces;
use crate::access::Permit;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{QuarantineId, QuarantineReason};

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no such record in quarantine")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the reading task was stopped")]
    Stopped,
}

#[derive(Clone)]
pub struct ReplayFlow {
    store: Store,
}

impl ReplayFlow {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// `None` when the record could be read now; else the reason why it is still held.
    pub async fn run(&self, permit: &Permit, id: &QuarantineId) -> Result<Option<QuarantineReason>, ReplayError> {
        let (item, delivery) = self.store.quarantined(permit, id).await?.ok_or(ReplayError::NotFound)?;
        let source = self.store.source(&delivery.tenant, &delivery.source).await?.ok_or(ReplayError::NotFound)?;
        let reading = tokio::task::spawn_blocking(move || (read_pieces(&delivery, &source), delivery));
        let (records, delivery) = reading.await.map_err(|_| ReplayError::Stopped)?;
        let record = records.into_iter().find(|record| record.ordinal == item.ordinal).ok_or(ReplayError::NotFound)?;
        self.store.replay(permit, &item, &delivery, &record).await?;
        Ok(record.result.err().map(|unreadable| unreadable.reason))
    }
}
