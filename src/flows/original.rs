//! The bytes a document came from: its delivery, split again, at the record's place.

use super::ingest::IngestError;
use crate::access::Access;
use crate::adapters::store::Store;
use crate::domain::{DocumentKey, Format};
use crate::stages::split::{Piece, split};

#[derive(Clone)]
pub struct OriginalFlow {
    store: Store,
}

impl OriginalFlow {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// `None` when the document is out of reach or came in no delivery that is still held.
    pub async fn run(&self, access: &Access, key: &DocumentKey) -> Result<Option<(Format, Vec<u8>)>, IngestError> {
        let Some((delivery, ordinal)) = self.store.delivery_of(access, key).await? else { return Ok(None) };
        let source = self.store.source(&delivery.tenant, &delivery.source).await?;
        let format = delivery.format;
        if let Some(bytes) = self.store.remaining_record(&delivery.receipt, ordinal).await? {
            return Ok(Some((format, bytes)));
        }
        let splitting = tokio::task::spawn_blocking(move || {
            let mapping = source.and_then(|source| source.mapping);
            split(&delivery, mapping.as_ref()).into_iter().find_map(|piece| match piece {
                Piece::Record(record) if record.ordinal == ordinal => Some(record.bytes),
                _ => None,
            })
        });
        let bytes = splitting.await.map_err(|_| IngestError::Stopped)?;
        Ok(bytes.map(|bytes| (format, bytes)))
    }
}
