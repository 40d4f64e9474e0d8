//! `POST /v1/answer`: an answer in the record's own words, as JSON or as an event stream.

use std::time::Instant;

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer_events::{events, written_events};
use super::answer_shapes::{
    AnswerFindingBody, CitationBody, Citations, ConflictBody, check_word, reason_word, route_word, status_word,
};
use super::asker::Asker;
use super::filters::{FilterRequest, mode};
use super::problem::Problem;
use super::request::{Reader, RequestId};
use super::shapes::Freshness;
use crate::access::Access;
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{Answer, DocumentKey, Query};
use crate::flows::{Begun, Disclosed, PASSAGES, cited};
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
    /// `false`: quotes only, although a language model is configured.
    generate: Option<bool>,
    /// A name of the caller's own choosing, up to 64 characters. Questions of one conversation about one patient may lean
    /// on the one before; after 30 minutes of silence it is forgotten.
    conversation: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerResponse {
    /// `answered`, `partial` or `abstained`.
    status: &'static str,
    /// Why there is no answer or not all of it: `no_evidence`, `weak_evidence`, `not_mentioned`, `stale_sources` or
    /// `unsupported`.
    reason: Option<&'static str>,
    /// The question as it was understood, where it leaned on the one before.
    understood_as: Option<String>,
    /// Where it comes from: `facts`, `text`, `text_after_facts` or `generated`.
    route: &'static str,
    sentences: Vec<SentenceBody>,
    citations: Vec<CitationBody>,
    /// What facts say, for a program: yes or no, a count, series to plot. Only of the route `facts`.
    finding: Option<AnswerFindingBody>,
    conflicts: Vec<ConflictBody>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct SentenceBody {
    /// The record's own words, white space within folded, unless `check` says otherwise.
    text: String,
    /// How well the evidence fits the question, 0 to 1.
    support: f32,
    /// What it passed: `verbatim` (the words of each citation), `counted` (states how many citations it has),
    /// `supported` (a model's words, which stand together in each citation) or `not_needed` (it asserts nothing).
    check: &'static str,
    /// Numbers of the citations that hold it.
    citations: Vec<usize>,
}

/// Answer
///
/// Sentences with citations, from typed facts or from documents, or an abstention with its reason. With `Accept: text/event-stream`
/// the same as events: `sentence`, any number of them, then `done`; or `error` with a problem, when what a model writes over
/// may be shown no longer.
#[utoipa::path(
    tag = "read",
    request_body = AnswerRequest,
    responses(
        (status = 200, body = AnswerResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/answer")]
pub async fn answer_question(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    request: HttpRequest,
    body: Json<AnswerRequest>,
) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let asked = body.into_inner();
    let filters = app.disclose.filters(&access, asked.filters.parse(asked.patient)?).await?;
    let question = Query::new(&asked.question, mode(asked.mode.as_deref())?, filters, PASSAGES)?;
    let question = app.disclose.question(&access, question).await?;
    let question = match asked.conversation.as_deref() {
        None => question,
        Some(id) if (1..=64).contains(&id.chars().count()) => app.answer.in_conversation(&access, id, &question),
        Some(_) => return Err(Problem::bad_request("conversation_name")),
    };
    // Which words were taken out of a question would tell whose they are; and a model's sentences leave as they come,
    // before they could be masked.
    let is_masked = access.is_deidentified();
    let understood_as = (!is_masked && question.text != asked.question.trim()).then(|| question.text.clone());
    let may_write = asked.generate != Some(false) && !is_masked;
    let begun = app.answer.begin(&access, &question, may_write).await?;
    let freshness = app.freshness.run(&access)?;
    let audit = Audit { app: &app, access: &access, request_id: &request_id, question: &question };
    let answer = match begun {
        Begun::Whole(answer) => answer,
        Begun::Writing(writing) if wants_events(&request) => {
            // All that may be quoted is on record before the first sentence leaves.
            audit.write(writing.documents()).await?;
            app.metrics.answer_latency.get_or_create(&outcome("answered")).observe(seconds(started.elapsed()));
            let asker = Asker::of(app.clone(), request.headers())?;
            return Ok(written_events(*writing, freshness, asker));
        }
        Begun::Writing(mut writing) => {
            while writing.next().await.is_some() {}
            writing.finish()
        }
    };
    audit.write(cited(&answer)).await?;
    let latency = app.metrics.answer_latency.get_or_create(&outcome(status_word(answer.status)));
    latency.observe(seconds(started.elapsed()));
    let answer = app.disclose.answer(&access, answer).await?;
    let used: Vec<_> = answer.citations().map(|citation| &citation.source).collect();
    let freshness = Freshness::of_sources(&freshness, &used);
    if wants_events(&request) {
        return Ok(events(&answer, freshness));
    }
    Ok(HttpResponse::Ok().json(AnswerResponse::new(&answer, understood_as, freshness)))
}

/// What the audit row of an answer is made of, before it is known which documents it quotes.
struct Audit<'a> {
    app: &'a App,
    access: &'a Access,
    request_id: &'a RequestId,
    question: &'a Query,
}

impl Audit<'_> {
    async fn write(&self, mut documents: Vec<DocumentKey>) -> Result<(), Problem> {
        documents.sort();
        documents.dedup();
        let row = AuditRow {
            action: "answer",
            patient: self.question.filters.patient.as_ref(),
            documents: &documents,
            outcome: if documents.is_empty() { "empty" } else { "success" },
            request_id: self.request_id.as_str(),
        };
        Ok(self.app.audit(self.access, &row).await?)
    }
}

fn outcome(word: &str) -> OutcomeLabel {
    OutcomeLabel { outcome: word.to_owned() }
}

fn wants_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

impl AnswerResponse {
    fn new(answer: &Disclosed<Answer>, understood_as: Option<String>, freshness: Freshness) -> Self {
        let mut citations = Citations::default();
        let sentences = answer
            .sentences
            .iter()
            .map(|sentence| SentenceBody {
                text: sentence.text.clone(),
                support: sentence.support,
                check: check_word(sentence.check),
                citations: sentence.citations.iter().map(|citation| citations.number(citation).number).collect(),
            })
            .collect();
        let finding = answer.finding.as_ref().map(|finding| AnswerFindingBody::new(finding, &mut citations));
        let conflicts = answer.conflicts.iter().map(|conflict| ConflictBody::new(conflict, &mut citations)).collect();
        Self {
            status: status_word(answer.status),
            reason: answer.reason.map(reason_word),
            understood_as,
            route: route_word(answer.route),
            sentences,
            citations: citations.bodies,
            finding,
            conflicts,
            freshness,
        }
    }
}
