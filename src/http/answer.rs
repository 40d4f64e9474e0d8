//! `POST /v1/answer`: an answer in the record's own words, as JSON or as an event stream.

use std::time::Instant;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, Json};
use actix_web::{HttpRequest, HttpResponse, post};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{FilterRequest, mode};
use super::problem::Problem;
use super::request::RequestId;
use super::shapes::{Aged, Freshness, Span};
use crate::access::Access;
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{Abstention, Answer, AnswerStatus, Citation, DocumentKey, Query, Timestamp};
use crate::flows::{PASSAGES, cited};
use crate::telemetry::{OutcomeLabel, seconds};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// At most 4,000 characters.
    question: String,
    /// Only this patient.
    patient: Option<String>,
    /// How passages are found: `hybrid` (default), `keyword` or `dense`.
    mode: Option<String>,
    #[serde(default)]
    filters: FilterRequest,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerResponse {
    /// `answered` or `abstained`.
    status: &'static str,
    /// Why there is no answer: `no_evidence` or `weak_evidence`.
    reason: Option<&'static str>,
    sentences: Vec<SentenceBody>,
    citations: Vec<CitationBody>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct SentenceBody {
    /// The record's own words; white space within is folded.
    text: String,
    /// How well the evidence fits the question, 0 to 1.
    support: f32,
    /// Numbers of the citations that hold it.
    citations: Vec<usize>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct CitationBody {
    /// From 1, in the order of first use.
    number: usize,
    document: String,
    version: u32,
    title: String,
    kind: &'static str,
    section: Option<String>,
    source: String,
    span: Span,
    /// Equal to the bytes of that document version at `span`.
    quote: String,
    #[serde(flatten)]
    aged: Aged,
}

/// A `sentence` event of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentenceEvent {
    text: String,
    support: f32,
    citations: Vec<CitationBody>,
}

/// The `done` event that ends the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoneEvent {
    status: &'static str,
    reason: Option<&'static str>,
    freshness: Freshness,
}

/// Answer
///
/// Verbatim sentences with citations, or an abstention with its reason. With `Accept: text/event-stream`
/// the same as events: `sentence`, any number of them, then `done`.
#[utoipa::path(
    tag = "read",
    request_body = AnswerRequest,
    responses(
        (status = 200, body = AnswerResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/answer")]
pub async fn answer_question(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    request: HttpRequest,
    body: Json<AnswerRequest>,
) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let asked = body.into_inner();
    let filters = asked.filters.parse(asked.patient)?;
    let question = Query::new(&asked.question, mode(asked.mode.as_deref())?, filters, PASSAGES)?;
    let answer = app.answer.run(&access, &question).await?;
    let freshness = app.freshness.run(&access).await?;
    let mut documents: Vec<DocumentKey> = cited(&answer);
    documents.sort();
    documents.dedup();
    let row = AuditRow {
        action: "answer",
        patient: question.filters.patient.as_ref(),
        documents: &documents,
        outcome: if documents.is_empty() { "empty" } else { "success" },
        request_id: request_id.as_str(),
    };
    app.store.audit(&access, &row).await?;
    let outcome = OutcomeLabel { outcome: status_word(answer.status).to_owned() };
    app.metrics.answer_latency.get_or_create(&outcome).observe(seconds(started.elapsed()));
    let used: Vec<_> =
        answer.sentences.iter().flat_map(|sentence| &sentence.citations).map(|citation| &citation.source).collect();
    let freshness = Freshness::of_sources(&freshness, &used);
    if wants_events(&request) {
        return Ok(events(&answer, freshness));
    }
    Ok(HttpResponse::Ok().json(AnswerResponse::new(&answer, freshness)))
}

fn wants_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn events(answer: &Answer, freshness: Freshness) -> HttpResponse {
    let mut citations = Citations::default();
    let mut lines: Vec<Result<Bytes, std::convert::Infallible>> = Vec::new();
    for sentence in &answer.sentences {
        let cited = sentence.citations.iter().map(|citation| citations.number(citation)).collect();
        let event = SentenceEvent { text: sentence.text.clone(), support: sentence.support, citations: cited };
        lines.push(Ok(event_bytes("sentence", &event)));
    }
    let done = DoneEvent { status: status_word(answer.status), reason: answer.reason.map(reason_word), freshness };
    lines.push(Ok(event_bytes("done", &done)));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(stream::iter(lines))
}

/// JSON holds no raw line break, so one `data:` line is always enough.
fn event_bytes(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("plain values always serialize");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn status_word(status: AnswerStatus) -> &'static str {
    match status {
        AnswerStatus::Answered => "answered",
        AnswerStatus::Abstained => "abstained",
    }
}

fn reason_word(reason: Abstention) -> &'static str {
    match reason {
        Abstention::NoEvidence => "no_evidence",
        Abstention::WeakEvidence => "weak_evidence",
    }
}

/// Numbers citations from 1 in the order of first use; the same place keeps its number.
#[derive(Default)]
struct Citations {
    bodies: Vec<CitationBody>,
}

impl Citations {
    fn number(&mut self, citation: &Citation) -> CitationBody {
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
            source: citation.source.to_string(),
            span: citation.span.into(),
            quote: citation.quote.clone(),
            aged: Aged::new(citation.effective, citation.source_time, citation.received_at, Timestamp::now()),
        }
    }
}

impl AnswerResponse {
    fn new(answer: &Answer, freshness: Freshness) -> Self {
        let mut citations = Citations::default();
        let sentences = answer
            .sentences
            .iter()
            .map(|sentence| SentenceBody {
                text: sentence.text.clone(),
                support: sentence.support,
                citations: sentence.citations.iter().map(|citation| citations.number(citation).number).collect(),
            })
            .collect();
        Self {
            status: status_word(answer.status),
            reason: answer.reason.map(reason_word),
            sentences,
            citations: citations.bodies,
            freshness,
        }
    }
}
