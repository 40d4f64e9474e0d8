//! Fetches what a subscription's notifications named or missed; the notifications themselves come in by HTTP.
//!
//! Missing events are asked for by the subscription's `$events`. Where that can't be had, and where a notification
//! doesn't say what changed, the types are searched since the last time nothing was missing. Now and then the server
//! is asked how many events there have been, since the loss of the last one would show in no other way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Data;
use futures_util::{FutureExt, StreamExt};
use jiff::SignedDuration;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::search::Search;
use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::fhir_server::{FhirError, FhirServer};
use crate::adapters::sources::notification::{Event, Notification, Numbered};
use crate::adapters::sources::search_page::{bundle_of, deletions_of};
use crate::app::App;
use crate::domain::{Format, SourceDescription, SubscriptionFeed, TenantId, Timestamp};
use crate::flows::{Gap, Inbox};

/// How soon after a notification its work is begun, and how often we look in any case.
const LOOK: Duration = Duration::from_millis(500);
/// A number that was passed over may just be slower than the next.
const GRACE: SignedDuration = SignedDuration::from_secs(2);
/// Between the server's clock and ours, and for writes that become visible late.
const OVERLAP: Duration = Duration::from_secs(300);
const FETCHES_A_ROUND: usize = 100;
const FETCHES_AT_ONCE: usize = 4;
const EVENTS_A_QUESTION: u64 = 100;
const PAGE_SIZE: u32 = 200;
const BEGUN: &str = "begun";

/// Until `stopped`.
pub(super) async fn subscription(
    app: Data<App>,
    tenant: TenantId,
    description: SourceDescription,
    feed: SubscriptionFeed,
    stopped: watch::Receiver<bool>,
) {
    let worker = FeedWorker::new(app, tenant, description.name);
    let asked_at = Mutex::new(None);
    worker.repeat(LOOK, stopped, || Round::run(&worker, &feed, &asked_at).boxed()).await;
}

/// A record as the server has it now; without content when it is gone.
struct Fetched {
    key: String,
    wish: u64,
    content: Option<Vec<u8>>,
}

struct Round<'a> {
    worker: &'a FeedWorker,
    feed: &'a SubscriptionFeed,
    server: Arc<FhirServer>,
    /// Before it everything is somebody else's to bring.
    begun: Timestamp,
}

impl<'a> Round<'a> {
    /// Does what there is to do; when there is nothing, waits for it.
    async fn run(
        worker: &'a FeedWorker,
        feed: &'a SubscriptionFeed,
        asked_at: &Mutex<Option<Instant>>,
    ) -> Result<(), FeedError> {
        let server = worker.server(&feed.url, &feed.credentials, &[], feed.allow_http)?;
        let begun = match worker.state(BEGUN).await? {
            Some(begun) => begun,
            None => {
                let now = Timestamp::now();
                worker.keep(BEGUN, &now).await?;
                now
            }
        };
        let round = Self { worker, feed, server, begun };
        let every = Duration::from_secs(feed.every_s.max(1));
        loop {
            let is_due = |at: &Option<Instant>| at.is_none_or(|at| at.elapsed() >= every);
            let is_due = is_due(&asked_at.lock().unwrap_or_else(PoisonError::into_inner));
            let inbox: Inbox = worker.state(Inbox::STATE).await?.unwrap_or_default();
            let has_work = !inbox.pending.is_empty()
                || inbox.searches_wanted != inbox.searches_done
                || !due_gaps(&inbox).is_empty();
            if !has_work && !is_due {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if is_due {
                round.ask_for_counts(&inbox).await?;
                *asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            round.fetch_pending(&inbox).await?;
            let unanswered = round.ask_for_missing(&inbox).await?;
            if unanswered || inbox.searches_wanted != inbox.searches_done {
                round.search(&inbox).await?;
            }
            if has_work {
                return Ok(());
            }
        }
    }

    async fn change<R>(&self, change: impl FnOnce(&mut Inbox) -> R + Send) -> Result<R, FeedError> {
        let FeedWorker { app, upkeep, tenant, source, .. } = self.worker;
        Ok(app.store.change_feed_state(upkeep, tenant, source, Inbox::STATE, change).await?)
    }

    /// Every pending record as it is now, or that it is gone. One that can't be had doesn't keep the others.
    async fn fetch_pending(&self, inbox: &Inbox) -> Result<(), FeedError> {
        let mut failed = None;
        for round in inbox.pending.iter().collect::<Vec<_>>().chunks(FETCHES_A_ROUND) {
            let fetches: Vec<_> = round.iter().map(|(key, wish)| self.fetch(key, **wish).boxed()).collect();
            let fetches = futures_util::stream::iter(fetches).buffer_unordered(FETCHES_AT_ONCE);
            let results: Vec<Result<Fetched, FeedError>> = fetches.collect().await;
            let mut fetched = Vec::new();
            for result in results {
                match result {
                    Ok(record) => fetched.push(record),
                    Err(error) => failed = Some(error),
                }
            }
            self.take(&fetched).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Lands what was fetched, and wants it no more.
    ///
    /// A newer wish for a record came while it was fetched: it stays, and if the record was gone then, it need not be
    /// now. No time stands beside that it is gone, so only the order of landing tells; nothing else lands meanwhile.
    async fn take(&self, fetched: &[Fetched]) -> Result<(), FeedError> {
        let FeedWorker { app, tenant, source, .. } = self.worker;
        let _turn = app.notifications.turn(tenant, source).await;
        let inbox: Inbox = self.worker.state(Inbox::STATE).await?.unwrap_or_default();
        let is_current = |record: &Fetched| inbox.pending.get(&record.key) == Some(&record.wish);
        let (current, overtaken): (Vec<&Fetched>, Vec<&Fetched>) =
            fetched.iter().partition(|record| is_current(record));
        let still_there = overtaken.into_iter().filter(|record| record.content.is_some());
        self.land(&current.iter().copied().chain(still_there).collect::<Vec<_>>()).await?;
        self.change(|inbox| {
            for record in &current {
                if inbox.pending.get(&record.key) == Some(&record.wish) {
                    inbox.pending.remove(&record.key);
                }
            }
        })
        .await
    }

    async fn land(&self, fetched: &[&Fetched]) -> Result<(), FeedError> {
        let mut entries = Vec::new();
        for content in fetched.iter().filter_map(|record| record.content.as_ref()) {
            match serde_json::from_slice::<&RawValue>(content) {
                Ok(resource) => entries.push(format!("{{\"resource\":{resource}}}")),
                // On its own, so that it alone ends in quarantine.
                Err(_) if !content.is_empty() => self.worker.land(Format::FhirJson, None, content.clone()).await?,
                Err(_) => {}
            }
        }
        if !entries.is_empty() {
            let bundle = bundle_of("collection", entries.iter().map(String::as_str));
            self.worker.land(Format::FhirJson, None, bundle).await?;
        }
        let gone = fetched.iter().filter(|record| record.content.is_none());
        let gone: Vec<String> = gone.map(|record| record.key.clone()).collect();
        if !gone.is_empty() {
            self.worker.land(Format::FhirJson, None, deletions_of(&gone)).await?;
        }
        Ok(())
    }

    async fn fetch(&self, key: &str, wish: u64) -> Result<Fetched, FeedError> {
        let answer = self.server.get(&self.server.address(key, &[])?, None).await?;
        let content = match answer.status {
            404 | 410 => None,
            _ => Some(answer.success()?.bytes),
        };
        Ok(Fetched { key: key.to_owned(), wish, content })
    }

    /// Asks for events that were missed. Returns whether some must be searched for instead.
    async fn ask_for_missing(&self, inbox: &Inbox) -> Result<bool, FeedError> {
        let mut unanswered = false;
        for (name, gap) in due_gaps(inbox) {
            let mut first = gap.first;
            while first <= gap.last {
                let last = gap.last.min(first + EVENTS_A_QUESTION - 1);
                let events = if name.is_empty() { None } else { self.events(&name, first, last).await? };
                unanswered |= !self.take_events(&name, first, last, &events.unwrap_or_default()).await?;
                first = last + 1;
            }
        }
        Ok(unanswered)
    }

    /// The events of a range; `None` when the server doesn't list them.
    async fn events(&self, name: &str, first: u64, last: u64) -> Result<Option<Vec<Event>>, FeedError> {
        let (first, last) = (first.to_string(), last.to_string());
        let range =
            [("eventsSinceNumber", first.as_str()), ("eventsUntilNumber", last.as_str()), ("content", "id-only")];
        let url = self.server.address(&format!("{name}/$events"), &range)?;
        let told = self.ask(&url).await?;
        Ok(told.map(|told| {
            let included: Vec<String> = told.included.iter().filter_map(|focus| focus.key.clone()).collect();
            let mut happened = told.happened;
            // One event's resources stand beside it, if not in it.
            if let [only] = happened.as_mut_slice() {
                only.keys.extend(included);
            }
            happened
        }))
    }

    async fn ask(&self, url: &reqwest::Url) -> Result<Option<Numbered>, FeedError> {
        let answer = match self.server.get(url, None).await {
            Ok(answer) => answer,
            Err(FhirError::Status(500 | 501)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if matches!(answer.status, 400 | 403 | 404 | 405 | 422 | 501) {
            return Ok(None);
        }
        match Notification::read(&answer.success()?.bytes) {
            Ok(Notification::Numbered(told)) => Ok(Some(told)),
            _ => Ok(None),
        }
    }

    /// Wants the records of these events, which aren't missing any more. Returns whether that was all of the range.
    async fn take_events(&self, name: &str, first: u64, last: u64, events: &[Event]) -> Result<bool, FeedError> {
        self.change(|inbox| {
            let Some(mut sequence) = inbox.sequences.remove(name) else { return true };
            for event in events.iter().filter(|event| !event.keys.is_empty()) {
                if sequence.fill(event.number) {
                    event.keys.iter().for_each(|key| inbox.want(key));
                }
            }
            let is_all = !sequence.missing.iter().any(|gap| gap.first <= last && gap.last >= first);
            inbox.sequences.insert(name.to_owned(), sequence);
            is_all
        })
        .await
    }

    /// Searches for what nobody named. What was missing when it began isn't any more when it has ended.
    async fn search(&self, inbox: &Inbox) -> Result<(), FeedError> {
        let types: BTreeSet<&str> = self.feed.types.iter().map(String::as_str).collect();
        if types.is_empty() {
            return Err(FeedError::Refused("events were missed, and no types are named to search for them"));
        }
        let counted = inbox.sequences.values().filter(|sequence| !sequence.missing.is_empty());
        // A sender that doesn't count proves nothing complete: then the last search's end counts.
        let is_counted = inbox.searches_wanted == inbox.searches_done;
        let complete_until = counted
            .map(|sequence| sequence.complete_until)
            .min()
            .flatten()
            .filter(|_| is_counted)
            .unwrap_or(self.begun);
        for resource_type in types {
            let search = Search {
                worker: self.worker,
                server: &self.server,
                resource_type,
                name: format!("search/{resource_type}"),
                page_size: PAGE_SIZE,
                overlap: OVERLAP,
                deletions: true,
                complete_until: Some(complete_until.max(self.begun)),
            };
            search.run().await?;
        }
        self.change(|now| {
            now.searches_done = now.searches_done.max(inbox.searches_wanted);
            for (name, gap) in due_gaps(inbox) {
                let Some(sequence) = now.sequences.get_mut(&name) else { continue };
                for number in gap.first..=gap.last {
                    sequence.fill(number);
                }
            }
        })
        .await
    }

    /// Asks each subscription how many events there have been; one that doesn't tell is searched after.
    async fn ask_for_counts(&self, inbox: &Inbox) -> Result<(), FeedError> {
        let mut is_silent = inbox.sequences.is_empty() && inbox.heard_at.is_some();
        for name in inbox.sequences.keys() {
            let told = if name.is_empty() {
                None
            } else {
                self.ask(&self.server.address(&format!("{name}/$status"), &[])?).await?
            };
            match told.and_then(|told| told.events) {
                Some(events) => {
                    let now = Timestamp::now();
                    self.change(|inbox| {
                        let is_listed =
                            inbox.sequences.get_mut(name).is_none_or(|sequence| sequence.expect(events, now));
                        inbox.searches_wanted += u64::from(!is_listed);
                    })
                    .await?;
                }
                None => is_silent = true,
            }
        }
        if is_silent && !self.feed.types.is_empty() {
            self.change(|inbox| inbox.searches_wanted += 1).await?;
        }
        Ok(())
    }
}

/// Gaps that have stood open long enough.
fn due_gaps(inbox: &Inbox) -> Vec<(String, Gap)> {
    let now = Timestamp::now();
    let gaps = inbox.sequences.iter().flat_map(|(name, sequence)| sequence.missing.iter().map(move |gap| (name, gap)));
    gaps.filter(|(_, gap)| now >= gap.noticed_at.plus(GRACE)).map(|(name, gap)| (name.clone(), *gap)).collect()
}
