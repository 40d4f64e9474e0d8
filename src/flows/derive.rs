//! From stored documents to what the index takes: chunks, their windows, and the vectors of both.

use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Upkeep;
use crate::adapters::index::{IndexChange, IndexedChunk, IndexedDocument, IndexedWindow};
use crate::adapters::inference::Embedder;
use crate::adapters::store::Store;
use crate::domain::{Chunk, DocumentId, DocumentStatus, Span, StoredDocument, TenantId};
use crate::stages::chunk::{chunk, windows};
use crate::stages::sentences::Splitter;

/// A title stands before each text that is embedded; a longer one is cut to this share of what the model reads.
const TITLE_SHARE: usize = 4;

/// A chunk may be so many times as long as what the model reads. Words are weighed better over longer text, and what
/// lies beyond the model's end has vectors by the chunk's windows.
const CHUNK_LENGTH: usize = 2;

/// A chunk with its windows, and the texts that are embedded for them, the chunk's own first.
struct Piece {
    chunk: Chunk,
    windows: Vec<Span>,
    texts: Vec<String>,
}

/// Reads the latest state of each document and derives what the index is to hold of it.
///
/// `progress` is told of each text once its vector is there.
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
                let mut pieces = pieces(embedding.embedder(), &document);
                texts.extend(pieces.iter_mut().flat_map(|piece| std::mem::take(&mut piece.texts)));
                waiting.push((tenant.clone(), document, pieces));
            }
            _ => changes.push(IndexChange::Remove { tenant: tenant.clone(), id: id.clone() }),
        }
    }
    let mut vectors = embedding.passages(upkeep, store, &texts, progress).await?.into_iter();
    for (tenant, document, pieces) in waiting {
        let chunks = pieces.into_iter().filter_map(|piece| indexed(piece, &mut vectors)).collect();
        changes.push(IndexChange::Put(Box::new(IndexedDocument { tenant, document, chunks })));
    }
    Ok(changes)
}

fn indexed(piece: Piece, vectors: &mut impl Iterator<Item = Vec<f32>>) -> Option<IndexedChunk> {
    let vector = vectors.next()?;
    let windows = piece.windows.into_iter().zip(vectors.by_ref());
    let windows = windows.map(|(span, vector)| IndexedWindow { span, vector }).collect();
    Some(IndexedChunk { chunk: piece.chunk, vector, windows })
}

/// Before each text stands what it is part of: the document's title.
fn pieces(embedder: &Embedder, stored: &StoredDocument) -> Vec<Piece> {
    let document = &stored.document;
    let count = |text: &str| embedder.count_tokens(text);
    let title = title_within(&document.title, embedder.max_tokens() / TITLE_SHARE, &count);
    let title_tokens = count(title);
    let splitter = Splitter::new(&document.text);
    let in_context = |span: Span| {
        let read = opening(&document.text, &splitter, span, embedder.max_tokens() - title_tokens, &count);
        let text = read.of(&document.text).unwrap_or_default();
        if title.is_empty() { text.to_owned() } else { format!("{title}\n{text}") }
    };
    let piece = |chunk: Chunk| {
        let windows = windows(&splitter, chunk.span);
        let texts = [chunk.span].iter().chain(&windows).map(|span| in_context(*span)).collect();
        Piece { chunk, windows, texts }
    };
    let budget = embedder.max_tokens() * CHUNK_LENGTH - title_tokens;
    chunk(&document.text, &document.sections, budget, &count).into_iter().map(piece).collect()
}

/// As many of the first sentences of `span` as the model reads, at least one.
fn opening(text: &str, splitter: &Splitter<'_>, span: Span, budget: usize, count: &dyn Fn(&str) -> usize) -> Span {
    let mut read = span;
    let mut ends: Vec<usize> = splitter.within(span).iter().map(|sentence| sentence.end).collect();
    while let Some(end) = ends.pop() {
        read = Span::new(span.start, end);
        if count(read.of(text).unwrap_or_default()) <= budget {
            break;
        }
    }
    read
}

/// The texts that are embedded for a document version.
pub(super) fn embedded_texts(embedder: &Embedder, stored: &StoredDocument) -> Vec<String> {
    pieces(embedder, stored).into_iter().flat_map(|piece| piece.texts).collect()
}

/// The title, cut at a word so that it has at most `budget` tokens.
fn title_within<'a>(title: &'a str, budget: usize, count: &dyn Fn(&str) -> usize) -> &'a str {
    let mut title = title.trim();
    while count(title) > budget {
        title = title.rsplit_once(char::is_whitespace).map_or("", |(head, _)| head.trim_end());
    }
    title
}
