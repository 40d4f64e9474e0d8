//! How the documents in reach divide: by kind, source, section, year, patient.

use super::{Filters, Query, QueryError};

/// What documents are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    Kind,
    Source,
    /// By each section it has, without regard to case.
    Section,
    /// The year it was true in, in UTC.
    Year,
    Patient,
}

impl Facet {
    pub const ALL: [Self; 5] = [Self::Kind, Self::Source, Self::Section, Self::Year, Self::Patient];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Source => "source",
            Self::Section => "section",
            Self::Year => "year",
            Self::Patient => "patient",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.as_str() == name)
    }
}

/// Which documents are counted, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountQuery {
    /// Only documents that hold a term of it; empty for all.
    pub text: String,
    pub filters: Filters,
    pub facets: Vec<Facet>,
}

impl CountQuery {
    pub fn new(text: &str, filters: Filters, facets: Vec<Facet>) -> Result<Self, QueryError> {
        Query::check(text, &filters)?;
        Ok(Self { text: text.trim().to_owned(), filters, facets })
    }
}

/// A facet's values with how many documents have each, the commonest first, then by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetCounts {
    pub facet: Facet,
    pub values: Vec<(String, usize)>,
    /// Values beyond those listed.
    pub further: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    pub documents: usize,
    pub chunks: usize,
    pub facets: Vec<FacetCounts>,
}
