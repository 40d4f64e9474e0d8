//! Takes in what a FHIR server sends to a subscription's endpoint, and remembers what is still to be fetched.
//!
//! - A resource that comes in its turn lands at once. One that comes late may be older than what we hold, so its
//!   record is fetched as it is now; so is one that is only named, or said to be gone.
//! - A number that was passed over is missing until it comes or is fetched. One that came before changes nothing.
//! - A record that lands while it waits to be fetched is fetched once more: what is under way may be older.
//!
//! What came is kept before the sender is told so. The fetching is background work.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{IngestError, IngestFlow};
use crate::access::{Operation, Permit};
use crate::adapters::sources::notification::{Event, Focus, Notification, NotificationKind, Numbered};
use crate::adapters::sources::search_page::{bundle_of, record_key};
use crate::adapters::store::{Store, StoreError};
use crate::domain::{Format, SourceId, TenantId, Timestamp};

/// More missing numbers than this in a row are not listed but searched for.
const MOST_LISTED: u64 = 10_000;
/// With more than this to fetch the sender is asked to wait.
const MOST_PENDING: usize = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    #[error("the notification can't be read")]
    Unreadable,
    #[error("the permit is for something else")]
    WrongPermit,
    #[error("too much waits to be fetched")]
    Overloaded,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// What a source's subscriptions have told, and what is still to be done about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inbox {
    /// By `Subscription/id`; empty for a sender that doesn't say which.
    pub sequences: BTreeMap<String, Sequence>,
    /// Records (`Type/id`) to be fetched as they are now; the number tells a newer wish for the same record.
    pub pending: BTreeMap<String, u64>,
    pub wishes: u64,
    /// Something changed that nobody named: how often that was said, and how often it had been when a search began
    /// that has ended.
    pub searches_wanted: u64,
    pub searches_done: u64,
    pub heard_at: Option<Timestamp>,
}

impl Inbox {
    pub const STATE: &'static str = "subscription";

    /// Wants this record fetched as it is now.
    pub fn want(&mut self, key: &str) {
        self.wishes += 1;
        self.pending.insert(key.to_owned(), self.wishes);
    }

    /// Wants it fetched once more if it waits to be, or is being fetched.
    fn want_again(&mut self, key: &str) {
        if self.pending.contains_key(key) {
            self.want(key);
        }
    }

    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
            && self.searches_wanted == self.searches_done
            && self.sequences.values().all(|sequence| sequence.missing.is_empty())
    }
}

/// The events of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequence {
    /// The highest number heard of; `None` before the first.
    pub last: Option<u64>,
    /// Ranges of numbers that were passed over, in order.
    pub missing: Vec<Gap>,
    /// The time of an event up to which none was missing.
    pub complete_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub first: u64,
    pub last: u64,
    pub noticed_at: Timestamp,
}

/// What a number means to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The highest so far.
    New,
    /// Was missing.
    Late,
    /// Came before.
    Again,
}

impl Sequence {
    /// Takes note of an event, after those before it were [expected](Self::expect).
    pub fn hear(&mut self, number: u64) -> Arrival {
        if self.last.is_none_or(|last| number > last) {
            self.last = Some(number);
            return Arrival::New;
        }
        if self.fill(number) { Arrival::Late } else { Arrival::Again }
    }

    /// There have been events up to this number: those not heard of are missing.
    ///
    /// `false`: so many that they are better searched for; they aren't listed then.
    pub fn expect(&mut self, number: u64, now: Timestamp) -> bool {
        let first = self.last.map_or(1, |last| last + 1);
        if number < first {
            return true;
        }
        self.last = Some(number);
        let is_listed = number - first < MOST_LISTED;
        if is_listed {
            self.missing.push(Gap { first, last: number, noticed_at: now });
        }
        is_listed
    }

    /// Takes a number out of those missing; says whether it was one.
    pub fn fill(&mut self, number: u64) -> bool {
        let Some(position) = self.missing.iter().position(|gap| (gap.first..=gap.last).contains(&number)) else {
            return false;
        };
        let gap = self.missing.remove(position);
        let parts = [(gap.first, number.saturating_sub(1)), (number + 1, gap.last)];
        let left = parts.into_iter().filter(|(first, last)| first <= last && *last != 0);
        let left: Vec<Gap> = left.map(|(first, last)| Gap { first, last, ..gap }).collect();
        self.missing.splice(position..position, left);
        true
    }
}

type Turns = Arc<tokio::sync::Mutex<()>>;

/// The right to land what comes from one source, and to take note of it.
#[must_use]
pub struct Turn {
    _held: tokio::sync::OwnedMutexGuard<()>,
}

#[derive(Clone)]
pub struct NotificationFlow {
    store: Store,
    ingest: IngestFlow,
    /// One notification of a source after the other: what comes in its turn must also land in its turn.
    turns: Arc<Mutex<HashMap<(TenantId, SourceId), Turns>>>,
}

impl NotificationFlow {
    pub fn new(store: Store, ingest: IngestFlow) -> Self {
        Self { store, ingest, turns: Arc::default() }
    }

    /// Takes in one notification. When this returns, all of it is on disk.
    pub async fn receive(&self, permit: &Permit, bytes: &[u8]) -> Result<(), NotificationError> {
        let Operation::Ingest(source) = permit.operation() else { return Err(NotificationError::WrongPermit) };
        let notification = Notification::read(bytes).map_err(|_| NotificationError::Unreadable)?;
        let _turn = self.turn(permit.tenant(), source).await;
        self.refuse_when_overloaded(permit).await?;
        match notification {
            Notification::Empty => self.change(permit, |inbox, _| inbox.searches_wanted += 1).await,
            Notification::Unnumbered(included) => self.unnumbered(permit, source, &included).await,
            Notification::Numbered(numbered) => self.numbered(permit, source, &numbered).await,
        }
    }

    /// Takes in that a record (`Type/id`) was said to be gone: it is looked for, and taken out if it is.
    pub async fn receive_deletion(&self, permit: &Permit, key: &str) -> Result<(), NotificationError> {
        let key = record_key(key).ok_or(NotificationError::Unreadable)?;
        self.refuse_when_overloaded(permit).await?;
        self.change(permit, |inbox, _| inbox.want(&key)).await
    }

    /// While it is held, no notification of this source is taken in.
    pub async fn turn(&self, tenant: &TenantId, source: &SourceId) -> Turn {
        let turns = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry((tenant.clone(), source.clone())).or_default())
        };
        Turn { _held: turns.lock_owned().await }
    }

    async fn refuse_when_overloaded(&self, permit: &Permit) -> Result<(), NotificationError> {
        let looking = |inbox: &mut Inbox| inbox.pending.len();
        let pending = self.store.change_sender_state(permit, Inbox::STATE, looking).await?;
        if pending > MOST_PENDING { Err(NotificationError::Overloaded) } else { Ok(()) }
    }

    async fn change<R>(
        &self,
        permit: &Permit,
        change: impl FnOnce(&mut Inbox, Timestamp) -> R + Send,
    ) -> Result<R, NotificationError> {
        let now = Timestamp::now();
        let changed = self.store.change_sender_state(permit, Inbox::STATE, |inbox: &mut Inbox| {
            inbox.heard_at = Some(now);
            change(inbox, now)
        });
        Ok(changed.await?)
    }

    /// Nothing tells whether these come in their turn: they land, since they are on their way to be read already,
    /// and each record is fetched once more as it is now.
    async fn unnumbered(
        &self,
        permit: &Permit,
        source: &SourceId,
        included: &[Focus],
    ) -> Result<(), NotificationError> {
        self.land(permit, source, included.iter()).await?;
        self.change(permit, |inbox, _| {
            included.iter().filter_map(|focus| focus.key.as_deref()).for_each(|key| inbox.want(key));
        })
        .await
    }

    async fn numbered(&self, permit: &Permit, source: &SourceId, told: &Numbered) -> Result<(), NotificationError> {
        let name = told.subscription.clone().unwrap_or_default();
        let in_turn = self
            .change(permit, |inbox, _| {
                let in_turn = is_in_turn(inbox, &name, told);
                if in_turn {
                    told.included.iter().filter_map(|focus| focus.key.as_deref()).for_each(|key| inbox.want_again(key));
                }
                in_turn
            })
            .await?;
        if in_turn {
            self.land(permit, source, told.included.iter()).await?;
        }
        self.change(permit, |inbox, now| note(inbox, &name, told, in_turn, now)).await
    }

    async fn land<'a>(
        &self,
        permit: &Permit,
        source: &SourceId,
        included: impl Iterator<Item = &'a Focus>,
    ) -> Result<(), NotificationError> {
        let entries: Vec<String> = included.filter_map(|focus| focus.content.as_deref().map(as_entry)).collect();
        if !entries.is_empty() {
            let bundle = bundle_of("collection", entries.iter().map(String::as_str));
            self.ingest.accept(permit, source, Format::FhirJson, None, bundle).await?;
        }
        Ok(())
    }
}

/// Whether all of a notification's events come after all that was heard of before.
fn is_in_turn(inbox: &Inbox, name: &str, told: &Numbered) -> bool {
    let last = inbox.sequences.get(name).and_then(|sequence| sequence.last);
    !told.happened.is_empty() && told.happened.iter().all(|event| Some(event.number) > last)
}

/// A resource on its own as a Bundle's entry; an entry as it is.
fn as_entry(content: &str) -> String {
    let is_resource = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(content)
        .is_ok_and(|members| members.contains_key("resourceType"));
    if is_resource { format!("{{\"resource\":{content}}}") } else { content.to_owned() }
}

/// Takes note of what a numbered notification says. Its resources have landed if it came in its turn.
fn note(inbox: &mut Inbox, name: &str, told: &Numbered, in_turn: bool, now: Timestamp) {
    let mut sequence = inbox.sequences.remove(name).unwrap_or_default();
    let mut is_searched = false;
    if told.kind == NotificationKind::Handshake {
        // The count begins here, also when a subscription was set up anew.
        let began_anew = sequence.last.is_some() && told.events < sequence.last;
        if sequence.last.is_none() || began_anew {
            is_searched |= began_anew;
            sequence = Sequence { last: told.events.or(Some(0)), missing: Vec::new(), complete_until: None };
        }
    }
    for event in &told.happened {
        is_searched |= !sequence.expect(event.number.saturating_sub(1), now);
        if sequence.hear(event.number) == Arrival::Again {
            continue;
        }
        is_searched |= event.keys.is_empty() && told.included.is_empty();
        for key in wanted(event, told, in_turn) {
            inbox.want(key);
        }
    }
    if let Some(events) = told.events {
        is_searched |= !sequence.expect(events, now);
    }
    let newest = told.happened.iter().filter_map(|event| event.at).max();
    if sequence.missing.is_empty() && !is_searched {
        sequence.complete_until = sequence.complete_until.max(newest);
    }
    inbox.searches_wanted += u64::from(is_searched);
    inbox.sequences.insert(name.to_owned(), sequence);
}

/// The records of an event that must be fetched: all but those that have just landed.
fn wanted<'a>(event: &'a Event, told: &'a Numbered, in_turn: bool) -> Vec<&'a str> {
    let has_landed = |key: &str| {
        let mut own = told.included.iter().filter(|focus| focus.key.as_deref() == Some(key)).peekable();
        in_turn && own.peek().is_some() && own.all(|focus| focus.content.is_some())
    };
    let named = event.keys.iter().map(String::as_str);
    let included = told.included.iter().filter_map(|focus| focus.key.as_deref());
    // Where one notification holds several events, their resources belong to all of them.
    let mut keys: Vec<&str> = named.chain(included).filter(|key| !has_landed(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Event, Focus, Gap, Inbox, NotificationKind, Numbered, Sequence, Timestamp, note};

    fn event(number: u64, key: &str) -> Event {
        let keys = if key.is_empty() { Vec::new() } else { vec![key.to_owned()] };
        Event { number, at: Some(Timestamp::from_micros(i64::try_from(number).unwrap())), keys }
    }

    fn told(kind: NotificationKind, events: u64, happened: Vec<Event>) -> Numbered {
        Numbered { kind, subscription: None, events: Some(events), happened, included: Vec::new() }
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn missing(inbox: &Inbox) -> Vec<(u64, u64)> {
        inbox.sequences.get("").unwrap().missing.iter().map(|gap| (gap.first, gap.last)).collect()
    }

    #[test]
    fn a_number_passed_over_is_missing_until_it_comes() {
        let mut sequence = Sequence::default();
        assert!(sequence.expect(0, now()));
        assert_eq!(sequence.hear(1), Arrival::New);
        assert!(sequence.expect(5, now()));
        assert_eq!(sequence.hear(6), Arrival::New);
        let gap = |first, last| Gap { first, last, noticed_at: now() };
        assert_eq!(sequence.missing, [gap(2, 5)]);
        assert_eq!(sequence.hear(3), Arrival::Late);
        assert_eq!(sequence.missing, [gap(2, 2), gap(4, 5)]);
        assert_eq!(sequence.hear(3), Arrival::Again);
        assert_eq!(sequence.hear(6), Arrival::Again);
        assert_eq!(
            (sequence.hear(2), sequence.hear(5), sequence.hear(4)),
            (Arrival::Late, Arrival::Late, Arrival::Late)
        );
        assert_eq!((sequence.missing, sequence.last), (Vec::new(), Some(6)));
    }

    #[test]
    fn a_heartbeat_tells_what_was_lost_at_the_end() {
        let mut inbox = Inbox::default();
        note(&mut inbox, "", &told(NotificationKind::Handshake, 0, Vec::new()), false, now());
        note(&mut inbox, "", &told(NotificationKind::Event, 1, vec![event(1, "Patient/a")]), false, now());
        assert!(missing(&inbox).is_empty() && inbox.pending.contains_key("Patient/a"));
        note(&mut inbox, "", &told(NotificationKind::Heartbeat, 3, Vec::new()), false, now());
        assert_eq!(missing(&inbox), [(2, 3)]);
        assert!(!inbox.is_complete());
    }

    #[test]
    fn a_handshake_begins_the_count_and_a_subscription_set_up_anew_is_searched_for() {
        let mut inbox = Inbox::default();
        note(&mut inbox, "", &told(NotificationKind::Handshake, 40, Vec::new()), false, now());
        assert!(inbox.is_complete());
        note(&mut inbox, "", &told(NotificationKind::Event, 41, vec![event(41, "Patient/a")]), false, now());
        assert!(missing(&inbox).is_empty());
        note(&mut inbox, "", &told(NotificationKind::Handshake, 0, Vec::new()), false, now());
        assert_eq!((inbox.sequences[""].last, inbox.searches_wanted), (Some(0), 1));
    }

    #[test]
    fn what_lands_in_its_turn_is_not_fetched_again_but_what_is_gone_is() {
        let included =
            |key: &str, content: Option<&str>| Focus { key: Some(key.to_owned()), content: content.map(str::to_owned) };
        let mut both = told(NotificationKind::Event, 2, vec![event(1, "Patient/a"), event(2, "Patient/b")]);
        both.included = vec![included("Patient/a", Some("{}")), included("Patient/b", Some("{}"))];
        let mut inbox = Inbox::default();
        note(&mut inbox, "", &both, true, now());
        assert!(inbox.is_complete());
        let mut late = Inbox::default();
        note(&mut late, "", &both, false, now());
        assert_eq!(late.pending.keys().collect::<Vec<_>>(), ["Patient/a", "Patient/b"]);
        both.included.push(included("Patient/a", None));
        let mut gone = Inbox::default();
        note(&mut gone, "", &both, true, now());
        assert_eq!(gone.pending.keys().collect::<Vec<_>>(), ["Patient/a"]);
    }

    #[test]
    fn an_event_that_names_nothing_or_too_many_at_once_are_searched_for() {
        let mut inbox = Inbox::default();
        note(&mut inbox, "", &told(NotificationKind::Event, 1, vec![event(1, "")]), false, now());
        assert_eq!(inbox.searches_wanted, 1);
        note(&mut inbox, "", &told(NotificationKind::Event, 90_000, vec![event(90_000, "Patient/a")]), false, now());
        assert_eq!((inbox.searches_wanted, missing(&inbox).len()), (2, 0));
    }
}
