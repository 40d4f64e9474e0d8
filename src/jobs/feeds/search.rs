//! Asks a server for the records of one type that changed, page by page, and for those that were deleted.
//!
//! - A page lands verbatim; only then is kept how far we are, so a search that is broken off is taken up at its page.
//! - Where the server sorts by time, the next page is a new search from the last time seen: pages that are counted
//!   off instead slip when a record that was already passed changes meanwhile. Records of one time that fill a
//!   page are paged by the server's links.
//! - Each search reaches back a little, for writes that became visible late. What landed before is not landed again.

use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;
use reqwest::header::{DATE, ETAG};
use serde::{Deserialize, Serialize};

use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::fhir_server::{Answer, FhirError, FhirServer};
use crate::adapters::sources::search_page::{SearchPage, bundle_of};
use crate::domain::{Format, Timestamp};

/// Names of record states kept so that the overlap isn't landed each time.
const MOST_REMEMBERED: usize = 4_000;
const DELETIONS_A_BUNDLE: usize = 500;
/// A server without a history is asked again after this long.
const NO_HISTORY: SignedDuration = SignedDuration::from_hours(24);

/// What is asked for.
pub(super) struct Search<'a> {
    pub worker: &'a FeedWorker,
    pub server: &'a FhirServer,
    pub resource_type: &'a str,
    /// The name its state is kept under.
    pub name: String,
    pub page_size: u32,
    pub overlap: Duration,
    pub deletions: bool,
    /// Everything before is known to be here: nothing older need be asked for.
    pub complete_until: Option<Timestamp>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Everything up to here has landed.
    cursor: Option<Timestamp>,
    /// The page to go on with.
    next: Option<String>,
    /// Where the search under way begins.
    position: Option<Timestamp>,
    /// The newest time in the search under way.
    newest: Option<Timestamp>,
    /// Of a search that is one page.
    etag: Option<Etag>,
    /// States of records landed in the overlap, newest last.
    recent: Vec<String>,
    deletions_until: Option<Timestamp>,
    buried: Vec<String>,
    no_history_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Etag {
    url: String,
    value: String,
}

impl Search<'_> {
    /// Lands what changed since the last time.
    pub async fn run(&self) -> Result<(), FeedError> {
        let mut state: State = self.worker.state(&self.name).await?.unwrap_or_default();
        let begun = Timestamp::now();
        state.cursor = state.cursor.max(self.complete_until);
        let asked_at = self.changes(&mut state).await?.unwrap_or(begun);
        if self.deletions {
            self.deletions(&mut state, asked_at).await?;
        }
        Ok(())
    }

    /// Returns when the server says that the search began.
    async fn changes(&self, state: &mut State) -> Result<Option<Timestamp>, FeedError> {
        let mut began_at = None;
        loop {
            let (url, is_taken_up) = self.page_url(state)?;
            let etag = state.etag.as_ref().filter(|etag| etag.url == url.as_str()).map(|etag| etag.value.clone());
            let answer = self.server.get(&url, etag.as_deref()).await?;
            began_at = began_at.or_else(|| server_time(&answer));
            match answer.status {
                304 => {
                    state.end();
                    self.worker.keep(&self.name, state).await?;
                    return Ok(began_at);
                }
                // The server has forgotten the page: the search begins anew where everything has landed.
                400 | 404 | 410 if is_taken_up => {
                    state.begin_anew();
                    self.worker.keep(&self.name, state).await?;
                    continue;
                }
                _ => {}
            }
            let etag = answer.header(&ETAG).map(|value| Etag { url: url.to_string(), value: value.to_owned() });
            let answer = answer.success()?;
            let page = SearchPage::read(&answer.bytes)?;
            if page.entries.iter().any(|entry| entry.name().is_none_or(|name| !state.recent.contains(&name))) {
                self.worker.land(Format::FhirJson, None, answer.bytes).await?;
            }
            let is_first = state.next.is_none();
            state.remember(&page, self.overlap());
            state.etag = etag.filter(|_| is_first && page.next.is_none());
            state.next = self.following(state, &page)?;
            if state.next.is_none() {
                state.end();
            }
            self.worker.keep(&self.name, state).await?;
            if state.next.is_none() {
                return Ok(began_at);
            }
        }
    }

    fn overlap(&self) -> SignedDuration {
        SignedDuration::try_from(self.overlap).unwrap_or(SignedDuration::ZERO)
    }

    /// The page to ask for, and whether it goes on with a search.
    fn page_url(&self, state: &mut State) -> Result<(Url, bool), FeedError> {
        if let Some(next) = &state.next {
            return Ok((self.server.link(next)?.url, true));
        }
        state.position = state.cursor.map(|cursor| cursor.plus(-self.overlap()));
        Ok((self.search_from(state.position)?, false))
    }

    fn search_from(&self, position: Option<Timestamp>) -> Result<Url, FhirError> {
        let since = position.map(|position| format!("ge{position}"));
        let count = self.page_size.to_string();
        let mut parameters = Vec::new();
        parameters.extend(since.as_deref().map(|since| ("_lastUpdated", since)));
        parameters.extend([("_sort", "_lastUpdated"), ("_count", count.as_str())]);
        self.server.address(self.resource_type, &parameters)
    }

    /// The page after this one, if there is one.
    fn following(&self, state: &mut State, page: &SearchPage) -> Result<Option<String>, FeedError> {
        let Some(next) = &page.next else { return Ok(None) };
        match page.newest() {
            Some(newest) if page.is_sorted_by_time() && Some(newest) > state.position => {
                state.position = Some(newest);
                Ok(Some(self.search_from(Some(newest))?.to_string()))
            }
            _ => Ok(Some(self.server.link(next)?.url.to_string())),
        }
    }

    /// Lands what the history says is gone. A record that was made again since isn't.
    async fn deletions(&self, state: &mut State, asked_at: Timestamp) -> Result<(), FeedError> {
        let is_due = state.no_history_at.is_none_or(|at| asked_at > at.plus(NO_HISTORY));
        let (Some(since), true) = (state.deletions_until, is_due) else {
            // What was deleted before the first search was never here.
            state.deletions_until = state.deletions_until.or(Some(asked_at));
            return self.worker.keep(&self.name, state).await;
        };
        let since = since.max(self.complete_until.unwrap_or(since)).plus(-self.overlap());
        let count = self.page_size.to_string();
        let path = format!("{}/_history", self.resource_type);
        let mut url = self.server.address(&path, &[("_since", &since.to_string()), ("_count", &count)])?;
        let mut history = History::default();
        let mut began_at = None;
        loop {
            let answer = self.server.get(&url, None).await?;
            if began_at.is_none() && matches!(answer.status, 400 | 403 | 404 | 405 | 501) {
                tracing::info!(source = %self.worker.source, "the server has no history, so deletions aren't seen");
                state.no_history_at = Some(asked_at);
                return self.worker.keep(&self.name, state).await;
            }
            began_at = began_at.or_else(|| server_time(&answer)).or(Some(asked_at));
            let page = SearchPage::read(&answer.success()?.bytes)?;
            let next = page.next.clone();
            history.add(page);
            match next {
                Some(next) => url = self.server.link(&next)?.url,
                None => break,
            }
        }
        let gone = history.gone();
        let fresh: Vec<_> = gone.iter().filter(|(name, _)| !state.buried.contains(name)).collect();
        for batch in fresh.chunks(DELETIONS_A_BUNDLE) {
            let bundle = bundle_of("history", batch.iter().map(|(_, raw)| raw.as_str()));
            self.worker.land(Format::FhirJson, None, bundle).await?;
        }
        state.buried = gone.into_iter().map(|(name, _)| name).take(MOST_REMEMBERED).collect();
        state.deletions_until = began_at;
        state.no_history_at = None;
        self.worker.keep(&self.name, state).await
    }
}

impl State {
    fn begin_anew(&mut self) {
        (self.next, self.newest, self.etag) = (None, None, None);
    }

    fn end(&mut self) {
        self.cursor = self.cursor.max(self.newest.take());
        self.next = None;
    }

    fn remember(&mut self, page: &SearchPage, overlap: SignedDuration) {
        self.newest = self.newest.max(page.newest());
        let edge = self.newest.map(|newest| newest.plus(-overlap));
        for entry in page.entries.iter().filter(|entry| entry.updated >= edge) {
            if let Some(name) = entry.name().filter(|name| !self.recent.contains(name)) {
                self.recent.push(name);
            }
        }
        let too_many = self.recent.len().saturating_sub(MOST_REMEMBERED);
        self.recent.drain(..too_many);
    }
}

/// The newest state of each record, over all pages of a history, whatever their order.
#[derive(Default)]
struct History {
    newest: HashMap<String, Newest>,
}

struct Newest {
    at: Option<Timestamp>,
    name: String,
    /// Only of a deletion.
    raw: Option<String>,
}

impl History {
    fn add(&mut self, page: SearchPage) {
        for entry in page.entries {
            let Some(key) = entry.key.clone() else { continue };
            // Without times the order counts: the newest comes first.
            if self.newest.get(&key).is_some_and(|held| held.at >= entry.updated) {
                continue;
            }
            let name = entry.name().unwrap_or_else(|| key.clone());
            let raw = entry.is_deletion.then(|| entry.raw.get().to_owned());
            self.newest.insert(key, Newest { at: entry.updated, name, raw });
        }
    }

    fn gone(self) -> Vec<(String, String)> {
        let mut gone: Vec<_> = self.newest.into_values().filter_map(|held| Some((held.name, held.raw?))).collect();
        gone.sort();
        gone
    }
}

fn server_time(answer: &Answer) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(answer.header(&DATE)?).ok()?;
    Some(Timestamp::from_micros(date.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::{History, SearchPage, State};
    use crate::adapters::sources::search_page::bundle_of;
    use crate::domain::Timestamp;

    fn put(id: &str, day: u32) -> String {
        format!(
            "{{\"resource\":{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\
             \"meta\":{{\"lastUpdated\":\"2024-05-{day:02}T00:00:00Z\"}}}}}}"
        )
    }

    fn delete(id: &str, day: u32) -> String {
        format!(
            "{{\"request\":{{\"method\":\"DELETE\",\"url\":\"Patient/{id}\"}},\
             \"response\":{{\"lastModified\":\"2024-05-{day:02}T00:00:00Z\"}}}}"
        )
    }

    fn page(entries: &[String]) -> SearchPage {
        SearchPage::read(&bundle_of("history", entries.iter().map(String::as_str))).unwrap()
    }

    #[test]
    fn only_what_is_still_gone_is_buried() {
        for is_reversed in [false, true] {
            let mut pages = [
                page(&[put("again", 5), delete("gone", 4), delete("again", 3)]),
                page(&[put("gone", 2), put("again", 1), put("stays", 1)]),
            ];
            if is_reversed {
                pages.reverse();
            }
            let mut history = History::default();
            pages.into_iter().for_each(|page| history.add(page));
            let gone = history.gone();
            assert_eq!(gone, [("Patient/gone@2024-05-04T00:00:00Z".to_owned(), delete("gone", 4))]);
        }
    }

    #[test]
    fn states_within_the_overlap_are_remembered() {
        let mut state = State::default();
        state.remember(&page(&[put("a", 1), put("b", 9), put("c", 10)]), SignedDuration::from_hours(24));
        assert_eq!(state.recent, ["Patient/b@2024-05-09T00:00:00Z", "Patient/c@2024-05-10T00:00:00Z"]);
        state.end();
        assert_eq!(state.cursor, Timestamp::parse("2024-05-10"));
        state.end();
        assert_eq!(state.cursor, Timestamp::parse("2024-05-10"));
    }
}
