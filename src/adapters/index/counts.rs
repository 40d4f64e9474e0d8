//! Counts within a scope: each document once for each value that it has.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::block::{Block, Row};
use super::question::Question;
use super::row_set::RowSet;
use super::schema::DocumentEntry;
use super::snapshot::Snapshot;
use super::{IndexError, Scope};
use crate::domain::{Counts, DocumentId, Facet, FacetCounts};

/// Values of one facet that are listed.
const MOST_VALUES: usize = 100;

impl Snapshot {
    /// Counts the documents of the scope that hold a term of `text` (all, when it is empty), but for those in
    /// `changed`, which the snapshot no longer knows rightly.
    pub fn count(
        &self,
        scope: &Scope,
        text: &str,
        facets: &[Facet],
        changed: &HashSet<DocumentId>,
    ) -> Result<Counts, IndexError> {
        let matching = if text.is_empty() { None } else { Some(self.rows_with(scope, text)?) };
        let within = matching.as_ref().unwrap_or(scope.rows());
        let mut tallies: Vec<Tally> = facets.iter().map(|facet| Tally::new(*facet)).collect();
        let (mut documents, mut chunks) = (0, 0);
        for block in &self.rows().blocks {
            for (entry, rows) in documents_within(block, within) {
                if changed.contains(&entry.id) {
                    continue;
                }
                documents += 1;
                chunks += rows.len();
                tallies.iter_mut().for_each(|tally| tally.add(entry, &rows));
            }
        }
        Ok(Counts { documents, chunks, facets: tallies.into_iter().map(Tally::finish).collect() })
    }

    fn rows_with(&self, scope: &Scope, text: &str) -> Result<RowSet, IndexError> {
        let mut rows = RowSet::default();
        self.keyword(scope, &Question::read(text, false))?.rows().for_each(|row| rows.insert(row.0));
        Ok(rows)
    }
}

/// The documents with rows in the set, each with those rows.
fn documents_within<'a>(
    block: &'a Block,
    within: &'a RowSet,
) -> impl Iterator<Item = (&'a DocumentEntry, Vec<&'a Row>)> {
    block.documents.iter().zip(&block.rows_of).filter_map(|(entry, range)| {
        let rows = block.rows.get(range.clone()).unwrap_or_default();
        let rows: Vec<&Row> = rows.iter().filter(|row| row.part_of.is_none() && within.contains(row.number)).collect();
        (!rows.is_empty()).then_some((&**entry, rows))
    })
}

struct Tally {
    facet: Facet,
    /// By the value without regard to case: how it was first written, and how many documents have it.
    counts: BTreeMap<String, (String, usize)>,
}

impl Tally {
    fn new(facet: Facet) -> Self {
        Self { facet, counts: BTreeMap::new() }
    }

    fn add(&mut self, entry: &DocumentEntry, rows: &[&Row]) {
        match self.facet {
            Facet::Kind => self.one(entry.kind.as_str()),
            Facet::Source => self.one(entry.source.as_str()),
            Facet::Year => self.one(entry.as_of.to_string().get(..4).unwrap_or_default()),
            Facet::Patient => entry.patient.iter().for_each(|patient| self.one(patient.as_str())),
            Facet::Section => {
                let titles: BTreeSet<&str> = rows.iter().filter_map(|row| row.section.as_deref()).collect();
                let mut seen = HashSet::new();
                titles.into_iter().filter(|title| seen.insert(title.to_lowercase())).for_each(|title| self.one(title));
            }
        }
    }

    fn one(&mut self, value: &str) {
        let key = if self.facet == Facet::Section { value.to_lowercase() } else { value.to_owned() };
        self.counts.entry(key).or_insert_with(|| (value.to_owned(), 0)).1 += 1;
    }

    fn finish(self) -> FacetCounts {
        let mut values: Vec<(String, usize)> = self.counts.into_values().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let further = values.len().saturating_sub(MOST_VALUES);
        values.truncate(MOST_VALUES);
        FacetCounts { facet: self.facet, values, further }
    }
}
