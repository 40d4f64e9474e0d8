//! The search index: tantivy postings and an HNSW graph that show one moment together.
//!
//! A [`Generation`] is a folder on disk made by one recipe. Everything in it (postings, vectors, row
//! descriptions, the watermark) becomes durable in one tantivy commit; the dense side is rebuilt from that
//! commit at start. Readers hold a [`Snapshot`], swapped whole, never edited. Filtering happens inside the
//! search, on both sides, by the same [`Scope`], which only an [`crate::access::Access`] can open.

mod analyzer;
mod base;
mod base_file;
mod block;
mod block_scopes;
mod candidates;
mod counts;
mod dense;
mod generation;
mod highlights;
mod keyword;
mod question;
mod row_set;
mod rows;
mod scan;
mod schema;
mod scope;
mod segment_rows;
mod serving;
mod snapshot;
mod tending;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

pub use candidates::Nearness;
pub use generation::{Generation, IndexChange, IndexedChunk, IndexedDocument, IndexedWindow};
pub use highlights::Highlighter;
pub use keyword::Found;
pub use question::Question;
pub use scope::Scope;
pub use serving::{Index, IndexSettings};
pub use snapshot::{DensePlan, Method, RowId, Snapshot};

#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another process writes this index.
    #[error("the index is in use by another process")]
    InUse,
    #[error("the index files could not be read or written")]
    Files(#[from] std::io::Error),
    #[error("the keyword index failed")]
    Keyword(#[source] tantivy::TantivyError),
    #[error("the index holds a {what} that can't be read back")]
    Corrupt { what: &'static str },
}

impl From<tantivy::TantivyError> for IndexError {
    fn from(error: tantivy::TantivyError) -> Self {
        match error {
            tantivy::TantivyError::LockFailure(..) => Self::InUse,
            other => Self::Keyword(other),
        }
    }
}
