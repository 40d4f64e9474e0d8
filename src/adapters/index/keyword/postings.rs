//! Where terms and phrases stand within a scope.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};

use super::super::rows::RowSet;
use super::super::scope::Lengths;
use super::super::snapshot::SegmentRows;
use super::super::vocabulary::Phrase;
use super::super::{IndexError, Scope};

/// One row that holds a term or a phrase.
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    pub row: u32,
    pub segment: u32,
    pub document: u32,
    pub frequency: f32,
    /// Of the row, in terms.
    pub length: u32,
}

/// The postings of one field, seen through a scope.
pub struct Scoped<'a> {
    searcher: &'a Searcher,
    segments: &'a [SegmentRows],
    field: Field,
    within: &'a RowSet,
    /// Rows of the scope that have words at all.
    pub rows: f32,
    /// Their mean length in terms, at least 1.
    pub average_length: f32,
}

impl<'a> Scoped<'a> {
    pub fn open(
        searcher: &'a Searcher,
        segments: &'a [SegmentRows],
        field: Field,
        scope: &'a Scope,
    ) -> Result<Self, IndexError> {
        let within = scope.rows();
        let Lengths { rows, mean } = scope.lengths(field, || lengths(searcher, segments, field, within))?;
        Ok(Self { searcher, segments, field, within, rows, average_length: mean })
    }

    fn segments(&self) -> impl Iterator<Item = (u32, &'a SegmentReader, &'a SegmentRows)> {
        (0..)
            .zip(self.searcher.segment_readers().iter().zip(self.segments))
            .map(|(at, (reader, rows))| (at, reader, rows))
    }

    fn postings(
        &self,
        reader: &SegmentReader,
        term: &str,
        option: IndexRecordOption,
    ) -> Result<Option<SegmentPostings>, IndexError> {
        let term = Term::from_field_text(self.field, term);
        Ok(reader.inverted_index(self.field)?.read_postings(&term, option)?)
    }

    /// The rows that hold the phrase, in no order.
    pub fn phrase(&self, phrase: &Phrase) -> Result<Vec<Posting>, IndexError> {
        let mut found = Vec::new();
        for (segment, reader, rows) in self.segments() {
            let lengths = reader.get_fieldnorms_reader(self.field)?;
            let mut take = |document: u32, frequency: u32| {
                if let Some(row) = rows.row_of(document).filter(|row| self.within.contains(*row)) {
                    let length = lengths.fieldnorm(document);
                    found.push(Posting { row, segment, document, frequency: frequency as f32, length });
                }
            };
            match phrase.alone() {
                Some(term) => {
                    let Some(mut postings) = self.postings(reader, term, IndexRecordOption::WithFreqs)? else {
                        continue;
                    };
                    while postings.doc() != TERMINATED {
                        take(postings.doc(), postings.term_freq());
                        postings.advance();
                    }
                }
                None => self.each_phrase(reader, phrase, &mut take)?,
            }
        }
        Ok(found)
    }

    /// Walks the documents that hold every term, and counts where they stand as the phrase has them.
    fn each_phrase(
        &self,
        reader: &SegmentReader,
        phrase: &Phrase,
        take: &mut impl FnMut(u32, u32),
    ) -> Result<(), IndexError> {
        let mut terms = Vec::with_capacity(phrase.terms.len());
        for (term, offset) in &phrase.terms {
            let option = IndexRecordOption::WithFreqsAndPositions;
            let Some(postings) = self.postings(reader, term, option)? else { return Ok(()) };
            terms.push((postings, *offset));
        }
        let (mut starts, mut places) = (Vec::new(), Vec::new());
        let mut target = 0;
        'documents: loop {
            for (postings, _) in &mut terms {
                let at = if postings.doc() < target { postings.seek(target) } else { postings.doc() };
                if at == TERMINATED {
                    return Ok(());
                }
                if at > target {
                    target = at;
                    continue 'documents;
                }
            }
            starts.clear();
            for (number, (postings, offset)) in terms.iter_mut().enumerate() {
                postings.positions(&mut places);
                if number == 0 {
                    starts.extend_from_slice(&places);
                } else {
                    starts.retain(|start| places.binary_search(&(start + *offset)).is_ok());
                }
            }
            if !starts.is_empty() {
                take(target, u32::try_from(starts.len()).unwrap_or(u32::MAX));
            }
            target += 1;
        }
    }

    /// Where `terms` stand in some documents of one segment: `visit(document's place in the list, term's place in
    /// the list, positions)`. `documents` rise.
    pub fn positions(
        &self,
        segment: u32,
        documents: &[u32],
        terms: &[&str],
        visit: &mut impl FnMut(usize, usize, &[u32]),
    ) -> Result<(), IndexError> {
        let Some(reader) = self.searcher.segment_readers().get(segment as usize) else { return Ok(()) };
        let mut places = Vec::new();
        for (number, term) in terms.iter().enumerate() {
            let option = IndexRecordOption::WithFreqsAndPositions;
            let Some(mut postings) = self.postings(reader, term, option)? else { continue };
            for (place, document) in documents.iter().enumerate() {
                if postings.doc() < *document {
                    postings.seek(*document);
                }
                if postings.doc() == *document {
                    postings.positions(&mut places);
                    visit(place, number, &places);
                }
            }
        }
        Ok(())
    }

    /// How many rows of the scope hold the term.
    pub fn holders(&self, term: &str) -> Result<f32, IndexError> {
        Ok(self.phrase(&Phrase::of_one(term))?.len() as f32)
    }
}

/// Counts them over the rows in scope alone.
fn lengths(
    searcher: &Searcher,
    segments: &[SegmentRows],
    field: Field,
    within: &RowSet,
) -> Result<Lengths, IndexError> {
    let (mut rows, mut total) = (0_u64, 0_u64);
    for (reader, segment) in searcher.segment_readers().iter().zip(segments) {
        let lengths = reader.get_fieldnorms_reader(field)?;
        for (document, row) in segment.rows() {
            if within.contains(row) {
                let length = u64::from(lengths.fieldnorm(document));
                total += length;
                rows += u64::from(length > 0);
            }
        }
    }
    Ok(Lengths { rows: rows as f32, mean: (total as f32 / rows.max(1) as f32).max(1.0) })
}
