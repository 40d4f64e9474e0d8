//! What answers are made of, as JSON: citations by number, findings to plot, conflicts.

use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::{Aged, Span};
use crate::domain::{
    Abstention, AnswerFinding, AnswerStatus, Ask, Check, Citation, Conflict, Point, Route, Series, Timestamp, Verdict,
};

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CitationBody {
    /// From 1, in the order of first use.
    pub number: usize,
    document: String,
    version: u32,
    title: String,
    kind: &'static str,
    section: Option<String>,
    /// From 1, in documents that have pages.
    page: Option<usize>,
    source: String,
    span: Span,
    /// Equal to the bytes of that document version at `span`.
    quote: String,
    #[serde(flatten)]
    aged: Aged,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerFindingBody {
    /// What was asked for: `latest`, `trend`, `highest`, `lowest`, `count`, `list`, `presence`, `when_first`,
    /// `when_last` or `next`.
    ask: &'static str,
    /// To a question of yes or no: `yes`, `no` or `conflicting`.
    verdict: Option<&'static str>,
    /// How many entries match.
    count: Option<usize>,
    series: Vec<SeriesBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SeriesBody {
    name: String,
    /// Code system and code, where the source coded it.
    system: Option<String>,
    code: Option<String>,
    unit: Option<String>,
    /// Oldest first.
    points: Vec<PointBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PointBody {
    time: Option<String>,
    value: Option<f64>,
    /// A value that is no number.
    text: Option<String>,
    status: Option<String>,
    /// The number of its citation.
    citation: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConflictBody {
    about: String,
    /// Numbers of the citations that don't agree.
    citations: Vec<usize>,
}

/// Numbers citations from 1 in the order of first use; the same place keeps its number.
#[derive(Default)]
pub struct Citations {
    pub bodies: Vec<CitationBody>,
}

impl Citations {
    pub fn number(&mut self, citation: &Citation) -> CitationBody {
        let is_same = |body: &&CitationBody| {
            body.document == citation.key.id.as_str()
                && body.version == citation.key.version
                && body.span.start == citation.span.start
                && body.span.end == citation.span.end
        };
        if let Some(known) = self.bodies.iter().find(is_same) {
            return known.clone();
        }
        let body = CitationBody::new(self.bodies.len() + 1, citation);
        self.bodies.push(body.clone());
        body
    }
}

impl CitationBody {
    fn new(number: usize, citation: &Citation) -> Self {
        Self {
            number,
            document: citation.key.id.to_string(),
            version: citation.key.version,
            title: citation.title.clone(),
            kind: citation.kind.as_str(),
            section: citation.section.clone(),
            page: citation.page,
            source: citation.source.to_string(),
            span: citation.span.into(),
            quote: citation.quote.clone(),
            aged: Aged::new(citation.effective, citation.source_time, citation.received_at, Timestamp::now()),
        }
    }
}

impl AnswerFindingBody {
    pub fn new(finding: &AnswerFinding, citations: &mut Citations) -> Self {
        Self {
            ask: ask_word(finding.ask),
            verdict: finding.verdict.map(verdict_word),
            count: finding.count,
            series: finding.series.iter().map(|series| SeriesBody::new(series, citations)).collect(),
        }
    }
}

impl SeriesBody {
    fn new(series: &Series, citations: &mut Citations) -> Self {
        let mut point = |point: &Point| PointBody {
            time: point.time.map(|time| time.to_string()),
            value: point.value,
            text: point.text.clone(),
            status: point.status.clone(),
            citation: citations.number(&point.citation).number,
        };
        Self {
            name: series.name.clone(),
            system: series.system.clone(),
            code: series.code.clone(),
            unit: series.unit.clone(),
            points: series.points.iter().map(&mut point).collect(),
        }
    }
}

impl ConflictBody {
    pub fn new(conflict: &Conflict, citations: &mut Citations) -> Self {
        let numbers = conflict.citations.iter().map(|citation| citations.number(citation).number).collect();
        Self { about: conflict.about.clone(), citations: numbers }
    }
}

pub fn status_word(status: AnswerStatus) -> &'static str {
    match status {
        AnswerStatus::Answered => "answered",
        AnswerStatus::Partial => "partial",
        AnswerStatus::Abstained => "abstained",
    }
}

pub fn reason_word(reason: Abstention) -> &'static str {
    match reason {
        Abstention::NoEvidence => "no_evidence",
        Abstention::WeakEvidence => "weak_evidence",
        Abstention::NotMentioned => "not_mentioned",
        Abstention::StaleSources => "stale_sources",
        Abstention::Unsupported => "unsupported",
    }
}

pub fn route_word(route: Route) -> &'static str {
    match route {
        Route::Facts => "facts",
        Route::Text => "text",
        Route::TextAfterFacts => "text_after_facts",
        Route::Generated => "generated",
    }
}

pub fn check_word(check: Check) -> &'static str {
    match check {
        Check::Verbatim => "verbatim",
        Check::Counted => "counted",
        Check::Supported => "supported",
        Check::NotNeeded => "not_needed",
    }
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::No => "no",
        Verdict::Conflicting => "conflicting",
    }
}

fn ask_word(ask: Ask) -> &'static str {
    match ask {
        Ask::Latest => "latest",
        Ask::Trend => "trend",
        Ask::Highest => "highest",
        Ask::Lowest => "lowest",
        Ask::Count => "count",
        Ask::List => "list",
        Ask::Presence => "presence",
        Ask::WhenFirst => "when_first",
        Ask::WhenLast => "when_last",
        Ask::Next => "next",
        Ask::Why => "why",
        Ask::Other => "other",
    }
}
