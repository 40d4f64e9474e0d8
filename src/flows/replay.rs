//! Reads a quarantined record again, with what the code and the source's description are now.

use super::reading::read_pieces;
use crate::access::Permit;
use crate::adapters::store::{RecordOutcome, Store, StoreError};
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
        // What was held whole, as its records couldn't be told apart, is all of them now.
        let was_whole = item.size == delivery.bytes.len() as u64;
        let again: Vec<RecordOutcome> =
            records.into_iter().filter(|record| was_whole || record.ordinal == item.ordinal).collect();
        if again.is_empty() && !was_whole {
            return Err(ReplayError::NotFound);
        }
        self.store.replay(permit, &item, &delivery, &again).await?;
        let held = again.into_iter().find(|record| record.ordinal == item.ordinal);
        Ok(held.and_then(|record| record.result.err()).map(|unreadable| unreadable.reason))
    }
}
