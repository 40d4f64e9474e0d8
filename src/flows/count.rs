//! Counts the documents in reach, as search would find them.

use std::sync::Arc;

use crate::access::Access;
use crate::adapters::index::{Index, IndexError};
use crate::adapters::store::{Store, StoreError};
use crate::domain::{CountQuery, Counts};

#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the counting task was stopped")]
    Stopped,
}

#[derive(Clone)]
pub struct CountFlow {
    store: Store,
    index: Arc<Index>,
}

impl CountFlow {
    pub fn new(store: Store, index: Arc<Index>) -> Self {
        Self { store, index }
    }

    /// Leaves out what was withdrawn, replaced or relabelled since the index saw it.
    pub async fn run(&self, access: &Access, query: &CountQuery) -> Result<Counts, CountError> {
        let snapshot = self.index.snapshot();
        let changed = self.store.documents_changed_after(access, snapshot.watermark()).await?;
        let (access, query) = (access.clone(), query.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let scope = snapshot.scope(&access, &query.filters);
            snapshot.count(&scope, &query.text, &query.facets, &changed)
        });
        Ok(counting.await.map_err(|_| CountError::Stopped)??)
    }
}
