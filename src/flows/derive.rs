//! From stored documents to what the index takes: chunks and their vectors.

use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Upkeep;
use crate::adapters::index::{IndexChange, IndexedChunk, IndexedDocument};
use crate::adapters::inference::Embedder;
use crate::adapters::store::Store;
use crate::domain::{Chunk, DocumentId, DocumentStatus, StoredDocument, TenantId};
use crate::stages::chunk::chunk;

/// A title stands before each chunk that is embedded; a longer one is cut to this share of the model's window.
const TITLE_SHARE: usize = 4;

/// Reads the latest state of each document and derives what the index is to hold of it.
///
/// `progress` is told of each document once it is ready.
pub async fn derive(
    upkeep: &Upkeep,
    store: &Store,
    embedding: &EmbeddingPool,
    documents: &[(TenantId, DocumentId)],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<IndexChange>, EmbedError> {
    let mut changes = Vec::with_capacity(documents.len());
    let mut waiting = Vec::new();
    let mut texts = Vec::new();
    for (tenant, id) in documents {
        match store.latest_for_indexing(upkeep, tenant, id).await? {
            Some(document) if document.document.status == DocumentStatus::Current => {
                let pieces = pieces(embedding.embedder(), &document);
                texts.extend(pieces.iter().map(|(_, text)| text.clone()));
                let chunks: Vec<Chunk> = pieces.into_iter().map(|(chunk, _)| chunk).collect();
                waiting.push((tenant.clone(), document, chunks));
            }
            _ => changes.push(IndexChange::Remove { tenant: tenant.clone(), id: id.clone() }),
        }
    }
    let mut vectors = embedding.passages(upkeep, store, &texts, progress).await?.into_iter();
    for (tenant, document, chunks) in waiting {
        let chunks = chunks.into_iter().zip(vectors.by_ref()).map(|(chunk, vector)| IndexedChunk { chunk, vector });
        let chunks = chunks.collect();
        changes.push(IndexChange::Put(Box::new(IndexedDocument { tenant, document, chunks })));
    }
    Ok(changes)
}

/// The chunks of a document, each with the text that is embedded for it: the title, then the chunk.
fn pieces(embedder: &Embedder, stored: &StoredDocument) -> Vec<(Chunk, String)> {
    let document = &stored.document;
    let count = |text: &str| embedder.count_tokens(text);
    let title = title_within(&document.title, embedder.max_tokens() / TITLE_SHARE, &count);
    let budget = embedder.max_tokens() - count(title);
    chunk(&document.text, &document.sections, budget, &count)
        .into_iter()
        .filter_map(|chunk| {
            let text = chunk.span.of(&document.text)?;
            let embedded = if title.is_empty() { text.to_owned() } else { format!("{title}\n{text}") };
            Some((chunk, embedded))
        })
        .collect()
}

/// The texts that are embedded for a document version.
pub(super) fn embedded_texts(embedder: &Embedder, stored: &StoredDocument) -> Vec<String> {
    pieces(embedder, stored).into_iter().map(|(_, text)| text).collect()
}

/// The title, cut at a word so that it has at most `budget` tokens.
fn title_within<'a>(title: &'a str, budget: usize, count: &dyn Fn(&str) -> usize) -> &'a str {
    let mut title = title.trim();
    while count(title) > budget {
        title = title.rsplit_once(char::is_whitespace).map_or("", |(head, _)| head.trim_end());
    }
    title
}
