//! An answer as server-sent events: sentences as they are, or as a model's are proved; then `done`.
//!
//! What a model writes may take a minute, in which a patient can be erased or a token taken back: each of its sentences
//! leaves under an access that is verified anew.

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
use super::asker::Asker;
use super::problem::Problem;
use super::shapes::Freshness;
use crate::domain;
use crate::domain::{Answer, Route, Sentence};
use crate::flows::{Writing, cited};

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

/// A whole answer, in one piece: none of it waits here for a client that reads slowly.
pub fn events(answer: &Answer, freshness: Freshness) -> HttpResponse {
    let lines = whole(answer, freshness, &mut Citations::default());
    respond(stream::iter([Ok(lines)]))
}

/// An answer on its way to whoever asked.
struct Sending {
    writing: Writing,
    freshness: domain::Freshness,
    asker: Asker,
    citations: Citations,
}

/// An answer that is still being written. When the client goes, the stream is dropped, and with it the model's work.
pub fn written_events(writing: Writing, freshness: domain::Freshness, asker: Asker) -> HttpResponse {
    let sending = Sending { writing, freshness, asker, citations: Citations::default() };
    respond(stream::unfold(Some(sending), |sending| async {
        let mut sending = sending?;
        let line = match tokio::time::timeout(BEAT, sending.writing.next()).await {
            Ok(Some(sentence)) => sending.sentence(&sentence).await,
            Err(_) => Ok(Bytes::from_static(b": writing\n\n")),
            Ok(None) => return Some((Ok(sending.end().await), None)),
        };
        match line {
            Ok(line) => Some((Ok(line), Some(sending))),
            Err(problem) => Some((Ok(event_bytes("error", &problem)), None)),
        }
    }))
}

impl Sending {
    /// Errors: what it quotes may be shown no longer.
    async fn sentence(&mut self, sentence: &Sentence) -> Result<Bytes, Problem> {
        let keys: Vec<_> = sentence.citations.iter().map(|citation| citation.key.clone()).collect();
        self.asker.may_still_see(&keys).await?;
        Ok(sentence_bytes(sentence, &mut self.citations))
    }

    async fn end(self) -> Bytes {
        let Self { writing, freshness, asker, mut citations } = self;
        let answer = writing.finish();
        if let Err(problem) = asker.may_still_see(&cited(&answer)).await {
            return event_bytes("error", &problem);
        }
        let used: Vec<_> = answer.citations().map(|citation| &citation.source).collect();
        let freshness = Freshness::of_sources(&freshness, &used);
        match answer.route {
            Route::Generated => done_bytes(&answer, freshness, &mut citations),
            // Nothing that was written held: the quotes come instead, none of which was sent yet.
            _ => whole(&answer, freshness, &mut citations),
        }
    }
}

fn respond(lines: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(lines)
}

fn whole(answer: &Answer, freshness: Freshness, citations: &mut Citations) -> Bytes {
    let mut lines: Vec<Bytes> = answer.sentences.iter().map(|sentence| sentence_bytes(sentence, citations)).collect();
    lines.push(done_bytes(answer, freshness, citations));
    lines.concat().into()
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
