//! Where terms and phrases stand within a scope.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, InvertedIndexReader, Searcher, TERMINATED, Term};

use super::super::row_set::RowSet;
use super::super::scope::Lengths;
use super::super::segment_rows::SegmentRows;
use super::super::vocabulary::Phrase;
use super::super::{IndexError, Scope};
use super::places::Places;

/// Up to so many rows of a scope are sought in a term's list; of a larger scope, the list is walked.
const SOUGHT: usize = 1_000;

/// One row that holds a term or a phrase.
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    pub row: u32,
    pub frequency: f32,
    /// How long the row is, as lengths are stored.
    pub size: u8,
}

/// The postings of one field, seen through a scope.
pub struct Scoped<'a> {
    parts: Vec<Part<'a>>,
    field: Field,
    within: &'a RowSet,
    /// Rows of the scope that have words at all.
    pub rows: f32,
    /// Their mean length in terms, at least 1.
    pub average_length: f32,
    /// Terms whose rows were counted.
    holders: HashMap<String, usize>,
}

/// One segment.
struct Part<'a> {
    rows: &'a SegmentRows,
    terms: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    /// The scope's own documents, rising, where they are few.
    sought: Option<Vec<DocId>>,
}

impl<'a> Scoped<'a> {
    pub fn open(
        searcher: &Searcher,
        segments: &'a [SegmentRows],
        field: Field,
        scope: &'a Scope,
    ) -> Result<Self, IndexError> {
        let within = scope.rows();
        let few: Option<Vec<u32>> = (within.len() <= SOUGHT).then(|| within.iter().collect());
        let mut parts = Vec::with_capacity(segments.len());
        for (reader, rows) in searcher.segment_readers().iter().zip(segments) {
            let sought = few.as_ref().map(|few| documents(rows, few));
            if sought.as_ref().is_none_or(|documents| !documents.is_empty()) {
                let (terms, lengths) = (reader.inverted_index(field)?, reader.get_fieldnorms_reader(field)?);
                parts.push(Part { rows, terms, lengths, sought });
            }
        }
        let Lengths { rows, mean } = scope.lengths(field, || Ok(lengths(&parts, within)))?;
        Ok(Self { parts, field, within, rows, average_length: mean, holders: HashMap::new() })
    }

    /// Every row number of the scope is below.
    pub fn row_numbers(&self) -> usize {
        self.within.words().len() * 64
    }

    /// The rows that hold any of the ways, each once, in the place of what `found` held.
    pub fn of_ways(&mut self, ways: &[(Phrase, f32)], found: &mut Vec<Posting>) -> Result<(), IndexError> {
        found.clear();
        let mut merging = (ways.len() > 1).then(|| Merging::new(self.row_numbers()));
        for (number, (way, weight)) in ways.iter().enumerate() {
            let mut met = 0;
            self.each(way, |row, frequency, size| {
                met += 1;
                let posting = Posting { row, frequency: frequency as f32 * weight, size };
                match &mut merging {
                    None => found.push(posting),
                    Some(merging) => merging.add(found, posting),
                }
            })?;
            if let (0, Some(term)) = (number, way.alone()) {
                self.holders.insert(term.to_owned(), met);
            }
        }
        if let Some(merging) = merging {
            merging.end(found);
        }
        Ok(())
    }

    /// How many rows of the scope hold the term.
    pub fn holders(&mut self, term: &str) -> Result<f32, IndexError> {
        if let Some(held) = self.holders.get(term) {
            return Ok(*held as f32);
        }
        let mut met = 0;
        self.each(&Phrase::of_one(term), |_, _, _| met += 1)?;
        self.holders.insert(term.to_owned(), met);
        Ok(met as f32)
    }

    /// Visits each row of the scope that holds the phrase: the row, how often, and the row's size.
    fn each(&self, phrase: &Phrase, mut visit: impl FnMut(u32, u32, u8)) -> Result<(), IndexError> {
        for part in &self.parts {
            let mut take = |document: DocId, frequency: u32| {
                if let Some(row) = part.rows.row_of(document).filter(|row| self.within.contains(*row)) {
                    visit(row, frequency, part.lengths.fieldnorm_id(document));
                }
            };
            match phrase.alone() {
                Some(term) => {
                    part.each_term(&Term::from_field_text(self.field, term), &mut take)?;
                }
                None => part.each_phrase(self.field, phrase, &mut take)?,
            }
        }
        Ok(())
    }

    /// Where `terms` stand in some rows of the scope: `visit(row's place in the list, term's place in the list,
    /// positions)`.
    pub fn positions(
        &self,
        rows: &[u32],
        terms: &[&str],
        mut visit: impl FnMut(usize, usize, &[u32]),
    ) -> Result<(), IndexError> {
        let mut positions = Vec::new();
        for part in &self.parts {
            let mut documents: Vec<(DocId, usize)> =
                rows.iter().zip(0..).filter_map(|(row, place)| Some((part.rows.document_of(*row)?, place))).collect();
            documents.sort_unstable();
            if documents.is_empty() {
                continue;
            }
            for (number, term) in terms.iter().enumerate() {
                let option = IndexRecordOption::WithFreqsAndPositions;
                let Some(mut postings) = part.postings(self.field, term, option)? else { continue };
                for (document, place) in &documents {
                    if postings.doc() < *document {
                        postings.seek(*document);
                    }
                    if postings.doc() == *document {
                        postings.positions(&mut positions);
                        visit(*place, number, &positions);
                    }
                }
            }
        }
        Ok(())
    }

    /// How long a row of the scope is, as lengths are stored.
    pub fn size_of(&self, row: u32) -> u8 {
        let of_part = |part: &Part<'_>| Some(part.lengths.fieldnorm_id(part.rows.document_of(row)?));
        self.parts.iter().find_map(of_part).unwrap_or_default()
    }
}

impl Part<'_> {
    fn postings(
        &self,
        field: Field,
        term: &str,
        option: IndexRecordOption,
    ) -> Result<Option<SegmentPostings>, IndexError> {
        Ok(self.terms.read_postings(&Term::from_field_text(field, term), option)?)
    }

    fn each_term(&self, term: &Term, take: &mut impl FnMut(DocId, u32)) -> Result<(), IndexError> {
        const OPTION: IndexRecordOption = IndexRecordOption::WithFreqs;
        let Some(sought) = &self.sought else {
            let Some(mut blocks) = self.terms.read_block_postings(term, OPTION)? else { return Ok(()) };
            while blocks.block_len() > 0 {
                for (document, frequency) in blocks.docs().iter().zip(blocks.freqs()) {
                    take(*document, *frequency);
                }
                blocks.advance();
            }
            return Ok(());
        };
        let Some(mut postings) = self.terms.read_postings(term, OPTION)? else { return Ok(()) };
        for document in sought {
            if postings.doc() < *document {
                postings.seek(*document);
            }
            if postings.doc() == *document {
                take(*document, postings.term_freq());
            }
        }
        Ok(())
    }

    /// The first document from `target` on that could be of the scope.
    fn next(&self, target: DocId) -> DocId {
        let Some(sought) = &self.sought else { return target };
        let at = sought.partition_point(|document| *document < target);
        sought.get(at).copied().unwrap_or(TERMINATED)
    }

    /// Walks the documents that hold every term, and counts where they stand as the phrase has them.
    fn each_phrase(&self, field: Field, phrase: &Phrase, take: &mut impl FnMut(DocId, u32)) -> Result<(), IndexError> {
        let mut terms = Vec::with_capacity(phrase.terms.len());
        for (term, offset) in &phrase.terms {
            let option = IndexRecordOption::WithFreqsAndPositions;
            let Some(postings) = self.postings(field, term, option)? else { return Ok(()) };
            terms.push((postings, *offset));
        }
        let (mut starts, mut places) = (Vec::new(), Vec::new());
        let mut target = self.next(0);
        'documents: while target != TERMINATED {
            for (postings, _) in &mut terms {
                let at = if postings.doc() < target { postings.seek(target) } else { postings.doc() };
                if at > target {
                    target = self.next(at);
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
            target = self.next(target + 1);
        }
        Ok(())
    }
}

/// Joins what several ways found, by row.
struct Merging {
    /// One more than the place of each row's entry; 0 without one.
    places: Places,
}

impl Merging {
    fn new(rows: usize) -> Self {
        Self { places: Places::lent(rows) }
    }

    fn add(&mut self, found: &mut Vec<Posting>, posting: Posting) {
        let Some(place) = self.places.get_mut(posting.row) else { return };
        match *place {
            0 => {
                found.push(posting);
                *place = found.len() as u32;
            }
            held => found[held as usize - 1].frequency += posting.frequency,
        }
    }

    fn end(mut self, found: &[Posting]) {
        self.places.give_back(found.iter().map(|posting| posting.row));
    }
}

/// The documents of these rows, rising.
fn documents(rows: &SegmentRows, of: &[u32]) -> Vec<DocId> {
    let mut documents: Vec<DocId> = of.iter().filter_map(|row| rows.document_of(*row)).collect();
    documents.sort_unstable();
    documents
}

/// Counts them over the rows in scope alone.
fn lengths(parts: &[Part<'_>], within: &RowSet) -> Lengths {
    let (mut rows, mut total) = (0_u64, 0_u64);
    let mut add = |length: u32| {
        total += u64::from(length);
        rows += u64::from(length > 0);
    };
    for part in parts {
        match &part.sought {
            Some(documents) => documents.iter().for_each(|document| add(part.lengths.fieldnorm(*document))),
            None => {
                let of_scope = part.rows.rows().filter(|(_, row)| within.contains(*row));
                of_scope.for_each(|(document, _)| add(part.lengths.fieldnorm(document)));
            }
        }
    }
    Lengths { rows: rows as f32, mean: (total as f32 / rows.max(1) as f32).max(1.0) }
}
