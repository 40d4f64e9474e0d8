//! From stored documents to what the index takes: chunks, their windows, and the vectors of both.

use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Upkeep;
use crate::adapters::index::{IndexChange, IndexedChunk, IndexedDocument, IndexedWindow};
use crate::adapters::inference::Embedder;
use crate::adapters::store::Store;
use crate::domain::{Chunk, DocumentId, DocumentStatus, Span, StoredDocument, TenantId};
use crate::stages::chunk::{chunk, windows};
use crate::stages::sentences::Splitter;

/// Changes whenever the same chunks would get other vectors from the same model.
pub const REVISION: &str = "chunks-of-windows";

/// A title stands before each text that is embedded; a longer one is cut to this share of what the model reads.
const TITLE_SHARE: usize = 4;

/// A chunk may be so many times as long as what the model reads. Words are weighed better over longer text, and its
/// vectors are those of its windows.
const CHUNK_LENGTH: usize = 2;

/// A chunk with its windows, and the texts that are embedded: those of the windows, or where it has none its own.
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
    let windows = piece.windows.into_iter().zip(vectors.by_ref());
    let windows: Vec<IndexedWindow> = windows.map(|(span, vector)| IndexedWindow { span, vector }).collect();
    let vector = if windows.is_empty() { vectors.next()? } else { mean_of(&windows)? };
    Some(IndexedChunk { chunk: piece.chunk, vector, windows })
}

/// The direction of all windows together, so that what lies in them isn't read twice. Found as good as the vector of
/// the whole text, which a model can't read to its end when it is long, and computed from two thirds of the tokens.
fn mean_of(windows: &[IndexedWindow]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0; windows.first()?.vector.len()];
    for window in windows {
        sum.iter_mut().zip(&window.vector).for_each(|(sum, component)| *sum += component);
    }
    kernels::to_unit_length(kernels::Level::best(), &mut sum);
    Some(sum)
}

/// The parts of a document as they are embedded: before each stands what it is part of, the document's title.
struct InContext<'a> {
    text: &'a str,
    title: &'a str,
    splitter: Splitter<'a>,
    /// Tokens of a part.
    budget: usize,
    count: &'a dyn Fn(&str) -> usize,
}

impl InContext<'_> {
    fn text(&self, span: Span) -> String {
        let text = self.opening(span).of(self.text).unwrap_or_default();
        if self.title.is_empty() { text.to_owned() } else { format!("{}\n{text}", self.title) }
    }

    /// As many of the first sentences of `span` as the model reads, at least one.
    fn opening(&self, span: Span) -> Span {
        let mut read = span;
        let mut ends: Vec<usize> = self.splitter.within(span).iter().map(|sentence| sentence.end).collect();
        while let Some(end) = ends.pop() {
            read = Span::new(span.start, end);
            if (self.count)(read.of(self.text).unwrap_or_default()) <= self.budget {
                break;
            }
        }
        read
    }
}

/// Calls `piece` for each chunk.
fn for_each_chunk<T>(
    embedder: &Embedder,
    stored: &StoredDocument,
    piece: impl Fn(&InContext<'_>, Chunk, Vec<Span>) -> T,
) -> Vec<T> {
    let document = &stored.document;
    let count = |text: &str| embedder.count_tokens(text);
    let title = title_within(&document.title, embedder.max_tokens() / TITLE_SHARE, &count);
    let title_tokens = count(title);
    let budget = embedder.max_tokens() - title_tokens;
    let splitter = Splitter::new(&document.text);
    let context = InContext { text: &document.text, title, splitter, budget, count: &count };
    let longest = embedder.max_tokens() * CHUNK_LENGTH - title_tokens;
    let chunks = chunk(&document.text, &document.sections, longest, &count).into_iter();
    let piece = |chunk: Chunk| {
        let windows = windows(&context.splitter, chunk.span);
        piece(&context, chunk, windows)
    };
    chunks.map(piece).collect()
}

fn pieces(embedder: &Embedder, stored: &StoredDocument) -> Vec<Piece> {
    for_each_chunk(embedder, stored, |context, chunk, windows| {
        let read = if windows.is_empty() { std::slice::from_ref(&chunk.span) } else { &windows };
        let texts = read.iter().map(|span| context.text(*span)).collect();
        Piece { chunk, windows, texts }
    })
}

/// All texts that are, or by an earlier revision were, embedded for a document version.
pub(super) fn embedded_texts(embedder: &Embedder, stored: &StoredDocument) -> Vec<String> {
    let of_chunk = |context: &InContext<'_>, chunk: Chunk, windows: Vec<Span>| -> Vec<String> {
        [chunk.span].iter().chain(&windows).map(|span| context.text(*span)).collect()
    };
    for_each_chunk(embedder, stored, of_chunk).into_iter().flatten().collect()
}

/// The title, cut at a word so that it has at most `budget` tokens.
fn title_within<'a>(title: &'a str, budget: usize, count: &dyn Fn(&str) -> usize) -> &'a str {
    let mut title = title.trim();
    while count(title) > budget {
        title = title.rsplit_once(char::is_whitespace).map_or("", |(head, _)| head.trim_end());
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_points_where_its_windows_point_together() {
        let window = |vector: [f32; 2]| IndexedWindow { span: Span::new(0, 9), vector: vector.to_vec() };
        let mean = mean_of(&[window([1.0, 0.0]), window([0.0, 1.0])]).unwrap();
        assert!(mean.iter().all(|component| (component - 0.5_f32.sqrt()).abs() < 1e-6), "{mean:?}");
        assert_eq!(mean_of(&[]), None);
    }
}
