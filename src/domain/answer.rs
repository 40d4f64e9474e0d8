//! An answer: sentences, each with the places that support it, or an abstention.

use serde::{Deserialize, Serialize};

use super::{DocumentKey, Kind, SourceId, Span, StoredDocument, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    Answered,
    /// Part of what was found could not be said: withheld as stale, or taken out by a check.
    Partial,
    Abstained,
}

/// Why there is no answer, or not all of it; the code is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// Nothing within reach matched at all.
    NoEvidence,
    /// What matched doesn't support an answer well enough.
    WeakEvidence,
    /// The question names something that nothing within reach mentions, or a time of which nothing tells.
    NotMentioned,
    /// What was found comes from feeds that have been silent for too long.
    StaleSources,
    /// A check took out what had been found or written.
    Unsupported,
}

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Latest,
    Trend,
    Highest,
    Lowest,
    Count,
    List,
    /// Whether there is such a thing.
    Presence,
    WhenFirst,
    WhenLast,
    /// What comes next: appointments.
    Next,
    Why,
    Other,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Typed facts of structured records.
    Facts,
    /// Sentences of documents.
    Text,
    /// Sentences of documents, since facts were asked and had nothing.
    TextAfterFacts,
    /// A language model's sentences, each held against its citations.
    Generated,
}

/// What stood between a sentence and the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Its words are those of each citation, byte for byte but for white space.
    Verbatim,
    /// It states a number of citations, and they were counted.
    Counted,
    /// A model wrote it; its numbers, dates, names, negations and sides stand in its citations.
    Supported,
    /// It asserts nothing by itself, so there was nothing to check.
    NotNeeded,
}

/// Where a sentence stands: a byte span of one document version, and the words there.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    pub key: DocumentKey,
    pub span: Span,
    /// Equal to the document's text at `span`, byte for byte.
    pub quote: String,
    pub title: String,
    pub kind: Kind,
    pub section: Option<String>,
    /// From 1, in documents that have pages.
    pub page: Option<usize>,
    pub source: SourceId,
    pub effective: Option<Timestamp>,
    pub source_time: Option<Timestamp>,
    pub received_at: Timestamp,
}

impl Citation {
    /// What stands at `span` of a document; `None` where the span isn't within its text.
    pub fn of(stored: &StoredDocument, span: Span) -> Option<Self> {
        let document = &stored.document;
        let within = |section: &&super::Section| section.span.start <= span.start && span.end <= section.span.end;
        Some(Self {
            key: stored.key.clone(),
            span,
            quote: span.of(&document.text)?.to_owned(),
            title: document.title.clone(),
            kind: document.kind,
            section: document.sections.iter().find(within).map(|section| section.title.clone()),
            page: page_of(&document.pages, span),
            source: stored.source.clone(),
            effective: document.times.effective,
            source_time: document.times.source,
            received_at: stored.received_at,
        })
    }

    /// When what it says was last known true.
    pub fn as_of(&self) -> Timestamp {
        self.effective.or(self.source_time).unwrap_or(self.received_at)
    }
}

/// The page that a span begins on, from 1.
pub fn page_of(pages: &[usize], span: Span) -> Option<usize> {
    (!pages.is_empty()).then(|| pages.partition_point(|begin| *begin <= span.start).max(1))
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    pub text: String,
    /// How well the evidence fits the question, 0 to 1.
    pub support: f32,
    pub check: Check,
    pub citations: Vec<Citation>,
}

/// What facts say to a question of yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Yes,
    No,
    /// Sources, or facts and later notes, say different things.
    Conflicting,
}

/// A structured answer beside the sentences, for a program to show.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerFinding {
    pub ask: Ask,
    pub verdict: Option<Verdict>,
    /// How many entries match.
    pub count: Option<usize>,
    pub series: Vec<Series>,
}

/// Entries of one code and unit, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub system: Option<String>,
    pub code: Option<String>,
    pub unit: Option<String>,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub time: Option<Timestamp>,
    pub value: Option<f64>,
    /// A value that is no number.
    pub text: Option<String>,
    pub status: Option<String>,
    pub citation: Citation,
}

/// Places that don't agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub about: String,
    pub citations: Vec<Citation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: AnswerStatus,
    pub reason: Option<Abstention>,
    pub route: Route,
    pub sentences: Vec<Sentence>,
    pub finding: Option<AnswerFinding>,
    pub conflicts: Vec<Conflict>,
}

impl Answer {
    pub fn abstained(reason: Abstention) -> Self {
        Self {
            status: AnswerStatus::Abstained,
            reason: Some(reason),
            route: Route::Text,
            sentences: Vec::new(),
            finding: None,
            conflicts: Vec::new(),
        }
    }

    pub fn answered(route: Route, sentences: Vec<Sentence>) -> Self {
        Self { status: AnswerStatus::Answered, reason: None, route, sentences, finding: None, conflicts: Vec::new() }
    }

    /// Every citation of it, repeats kept.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        let points = self.finding.iter().flat_map(|finding| &finding.series).flat_map(|series| &series.points);
        let said = self.sentences.iter().flat_map(|sentence| &sentence.citations);
        let disputed = self.conflicts.iter().flat_map(|conflict| &conflict.citations);
        said.chain(points.map(|point| &point.citation)).chain(disputed)
    }
}

#[cfg(test)]
mod tests {
    use super::page_of;
    use crate::domain::Span;

    #[test]
    fn a_page_is_the_last_that_begins_before() {
        let pages = [0, 100, 250];
        for (start, page) in [(0, Some(1)), (99, Some(1)), (100, Some(2)), (400, Some(3))] {
            assert_eq!(page_of(&pages, Span::new(start, start + 1)), page);
        }
        assert_eq!(page_of(&[], Span::new(5, 6)), None);
    }
}
