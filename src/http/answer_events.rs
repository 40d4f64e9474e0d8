//! An answer as server-sent events: sentences as they are, or as a model's are proved; then `done`.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer_shapes::{
    AnswerFindingBody, CitationBody, Citations, ConflictBody, check_word, reason_word, route_word, status_word,
};
use super::shapes::Freshness;
use crate::domain;
use crate::domain::{Answer, Route, Sentence};
use crate::flows::Writing;

/// While a model writes, something is sent this often: only by sending is it noticed that a client has gone.
const BEAT: Duration = Duration::from_secs(1);

/// A `sentence` event of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentenceEvent {
    text: String,
    support: f32,
    check: &'static str,
    citations: Vec<CitationBody>,
}

/// The `done` event that ends the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoneEvent {
    status: &'static str,
    reason: Option<&'static str>,
    route: &'static str,
    finding: Option<AnswerFindingBody>,
    conflicts: Vec<ConflictBody>,
    /// Those of the finding and the conflicts that no sentence has brought yet.
    citations: Vec<CitationBody>,
    freshness: Freshness,
}

/// A whole answer.
pub fn events(answer: &Answer, freshness: Freshness) -> HttpResponse {
    let mut citations = Citations::default();
    let lines = whole(answer, freshness, &mut citations);
    respond(stream::iter(lines.into_iter().map(Ok)))
}

/// An answer that is still being written. When the client goes, the stream is dropped, and with it the model's work.
pub fn written_events(writing: Writing, freshness: domain::Freshness) -> HttpResponse {
    let state = Some((writing, Citations::default(), freshness));
    respond(stream::unfold(state, |state| async {
        let (mut writing, mut citations, freshness) = state?;
        match tokio::time::timeout(BEAT, writing.next()).await {
            Ok(Some(sentence)) => {
                let line = sentence_bytes(&sentence, &mut citations);
                return Some((Ok(line), Some((writing, citations, freshness))));
            }
            Err(_) => return Some((Ok(Bytes::from_static(b": writing\n\n")), Some((writing, citations, freshness)))),
            Ok(None) => {}
        }
        let answer = writing.finish();
        let used: Vec<_> = answer.citations().map(|citation| &citation.source).collect();
        let freshness = Freshness::of_sources(&freshness, &used);
        let last = match answer.route {
            Route::Generated => done_bytes(&answer, freshness, &mut citations),
            // Nothing that was written held: the quotes come instead, none of which was sent yet.
            _ => whole(&answer, freshness, &mut citations).concat().into(),
        };
        Some((Ok(last), None))
    }))
}

fn respond(lines: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(lines)
}

fn whole(answer: &Answer, freshness: Freshness, citations: &mut Citations) -> Vec<Bytes> {
    let mut lines: Vec<Bytes> = answer.sentences.iter().map(|sentence| sentence_bytes(sentence, citations)).collect();
    lines.push(done_bytes(answer, freshness, citations));
    lines
}

fn sentence_bytes(sentence: &Sentence, citations: &mut Citations) -> Bytes {
    let cited = sentence.citations.iter().map(|citation| citations.number(citation)).collect();
    let event = SentenceEvent {
        text: sentence.text.clone(),
        support: sentence.support,
        check: check_word(sentence.check),
        citations: cited,
    };
    event_bytes("sentence", &event)
}

fn done_bytes(answer: &Answer, freshness: Freshness, citations: &mut Citations) -> Bytes {
    let sent = citations.bodies.len();
    let finding = answer.finding.as_ref().map(|finding| AnswerFindingBody::new(finding, citations));
    let conflicts = answer.conflicts.iter().map(|conflict| ConflictBody::new(conflict, citations)).collect();
    let done = DoneEvent {
        status: status_word(answer.status),
        reason: answer.reason.map(reason_word),
        route: route_word(answer.route),
        finding,
        conflicts,
        citations: citations.bodies.split_off(sent),
        freshness,
    };
    event_bytes("done", &done)
}

/// JSON holds no raw line break, so one `data:` line is always enough.
fn event_bytes(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("plain values always serialize");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
