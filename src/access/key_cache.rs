//! One issuer's key set, fetched when needed and replaced whole.
//!
//! - A set is good for its lifetime; then the next caller fetches a new one while others go on with the old.
//! - A key id that the set lacks asks for a newer set, at most once a minute whatever the number of
//!   callers, or a flood of made-up ids would become a flood at the issuer.
//! - A fetch that fails leaves the last good set in use for a day beyond its lifetime.
//! - A fetched set replaces the one before, so a key that was withdrawn stops verifying.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::issuer::SigningAlgorithm;
use super::jwks::{KeySet, NoKey};

pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
const SHORTEST_LIFETIME: Duration = Duration::from_secs(5 * 60);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
pub(super) const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Between two fetches, however they end, while there is a set to go on with.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);
/// The same while there is none and every request waits for one.
pub(super) const INTERVAL_WITHOUT_KEYS: Duration = Duration::from_secs(10);

/// Brings key-set documents from outside. Sees to the transport: encryption, size, time, redirects.
pub trait FetchJwks: Send + Sync {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<FetchedJwks, FetchFailed>>;
    fn read_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<FetchedJwks, FetchFailed>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedJwks {
    pub bytes: Vec<u8>,
    /// What the sender said about keeping it.
    pub max_age: Option<Duration>,
}

/// A key set could not be had; `reason` is a code word for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key set could not be fetched: {reason}")]
pub struct FetchFailed {
    pub reason: &'static str,
}

pub(super) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

#[derive(Clone, Debug)]
pub(super) enum Location {
    File(PathBuf),
    Url(String),
    /// A metadata document that names the key set's address.
    Discovery(String),
}

/// Of OpenID Connect Discovery, or RFC 8414: the same two members.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    Unknown,
    Ambiguous,
    Unavailable { retry_after_s: u64 },
}

pub(super) struct KeyCache {
    issuer: String,
    location: Location,
    fetch: Arc<dyn FetchJwks>,
    clock: Clock,
    held: ArcSwapOption<HeldKeys>,
    /// When a fetch was last begun. Locked while one is under way.
    last_fetch: Arc<Mutex<Option<Instant>>>,
}

struct HeldKeys {
    keys: KeySet,
    fetched_at: Instant,
    lifetime: Duration,
}

const UNAVAILABLE: KeyFault = KeyFault::Unavailable { retry_after_s: INTERVAL_WITHOUT_KEYS.as_secs() };

type Turn = OwnedMutexGuard<Option<Instant>>;

impl HeldKeys {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fetched_at)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime + GRACE
    }

    /// Past four fifths of its lifetime, when background work fetches the next.
    fn is_ageing(&self, now: Instant) -> bool {
        self.age(now) >= self.lifetime * 4 / 5
    }
}

impl KeyCache {
    pub(super) fn new(issuer: String, location: Location, fetch: Arc<dyn FetchJwks>, clock: Clock) -> Arc<Self> {
        let held = ArcSwapOption::empty();
        Arc::new(Self { issuer, location, fetch, clock, held, last_fetch: Arc::default() })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether there is a set to verify with.
    pub(super) fn is_ready(&self) -> bool {
        self.usable().is_some()
    }

    /// The key that a token's header asks for.
    pub(super) async fn key(
        self: &Arc<Self>,
        algorithm: SigningAlgorithm,
        id: Option<&str>,
    ) -> Result<DecodingKey, KeyFault> {
        let held = self.current().await?;
        let found = match held.keys.find(algorithm, id) {
            Err(NoKey::Unknown) => self.newest().await?.keys.find(algorithm, id).cloned(),
            found => found.cloned(),
        };
        found.map_err(|no_key| match no_key {
            NoKey::Unknown => KeyFault::Unknown,
            NoKey::Ambiguous => KeyFault::Ambiguous,
        })
    }

    /// Fetches the next set where there is none or the one held is ageing; says whether a fresh one is held.
    pub(super) async fn refresh_if_ageing(self: &Arc<Self>) -> bool {
        if self.held.load().as_ref().is_none_or(|held| held.is_ageing((self.clock)())) {
            self.replace(self.turn().await).await;
        }
        self.held.load().as_ref().is_some_and(|held| held.is_fresh((self.clock)()))
    }

    fn usable(&self) -> Option<Arc<HeldKeys>> {
        self.held.load_full().filter(|held| held.is_usable((self.clock)()))
    }

    async fn current(self: &Arc<Self>) -> Result<Arc<HeldKeys>, KeyFault> {
        match self.usable() {
            Some(held) if held.is_fresh((self.clock)()) => return Ok(held),
            Some(_) => {
                // Whoever finds a fetch under way goes on with the old set rather than wait for it.
                if let Ok(turn) = Arc::clone(&self.last_fetch).try_lock_owned() {
                    self.replace(turn).await;
                }
            }
            None => self.replace(self.turn().await).await,
        }
        self.usable().ok_or(UNAVAILABLE)
    }

    async fn newest(self: &Arc<Self>) -> Result<Arc<HeldKeys>, KeyFault> {
        self.replace(self.turn().await).await;
        self.usable().ok_or(UNAVAILABLE)
    }

    async fn turn(&self) -> Turn {
        Arc::clone(&self.last_fetch).lock_owned().await
    }

    /// Fetches, unless a fetch was begun too short a time ago: by another caller while this one waited
    /// for its turn, for one.
    async fn replace(self: &Arc<Self>, mut turn: Turn) {
        let now = (self.clock)();
        let interval = if self.is_ready() { INTERVAL } else { INTERVAL_WITHOUT_KEYS };
        if turn.is_some_and(|begun| now.saturating_duration_since(begun) < interval) {
            return;
        }
        *turn = Some(now);
        let cache = Arc::clone(self);
        // On its own task, so that a caller who hangs up does not end the fetch for the others.
        let fetch = tokio::spawn(async move {
            cache.fetch_and_hold().await;
            drop(turn);
        });
        if fetch.await.is_err() {
            tracing::error!(issuer = %self.issuer, "fetching the key set ended abnormally");
        }
    }

    /// The key set that the issuer's metadata names; metadata of another issuer, or that names none, is no use.
    async fn discover(&self, url: &str) -> Result<FetchedJwks, FetchFailed> {
        let metadata = self.fetch.fetch(url).await?;
        let metadata: Metadata =
            serde_json::from_slice(&metadata.bytes).map_err(|_| FetchFailed { reason: "not_metadata" })?;
        if metadata.issuer != self.issuer {
            return Err(FetchFailed { reason: "metadata_of_another_issuer" });
        }
        self.fetch.fetch(&metadata.jwks_uri).await
    }

    async fn fetch_and_hold(&self) {
        let fetched = match &self.location {
            Location::File(path) => self.fetch.read_file(path).await,
            Location::Url(url) => self.fetch.fetch(url).await,
            Location::Discovery(url) => self.discover(url).await,
        };
        let read = fetched.and_then(|fetched| {
            let keys = KeySet::parse(&fetched.bytes).ok_or(FetchFailed { reason: "not_a_key_set" })?;
            Ok((keys, fetched.max_age))
        });
        match read {
            Ok((keys, max_age)) => {
                let lifetime = max_age.unwrap_or(DEFAULT_LIFETIME).clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME);
                self.held.store(Some(Arc::new(HeldKeys { keys, fetched_at: (self.clock)(), lifetime })));
            }
            Err(failed) => tracing::warn!(issuer = %self.issuer, reason = failed.reason, "key set not refreshed"),
        }
    }
}

#[cfg(test)]
mod tests;
