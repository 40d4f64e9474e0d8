//! Asking an issuer about a token (RFC 7662): whether it is good, and what it gives.
//!
//! What isn't clearly a yes is a no. An answer is kept for a bounded time and never beyond the token's own end, so a
//! token that the issuer took back is refused once that time is over.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::claims::Claims;
use super::issuer::IssuerSettings;
use super::key_cache::{Clock, FetchFailed};
use super::token_error::{Refusal, TokenError};
use crate::domain::Timestamp;

/// Made-up tokens must not become a flood at the issuer.
const MOST_AT_ONCE: usize = 16;
const RETRY_AFTER_S: u64 = 1;
/// Answers kept at once.
const MOST_KEPT: usize = 10_000;

/// Asks one issuer's introspection endpoint. Sees to the transport and to who we are.
pub trait AskIssuer: Send + Sync {
    /// The answer, as it came.
    fn ask<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, FetchFailed>>;
}

/// How an issuer is asked about its tokens.
#[derive(Clone)]
pub struct Introspection {
    pub endpoint: Arc<dyn AskIssuer>,
    /// For how long an answer is kept, at most.
    pub keep: Duration,
    /// Whether tokens that are no JWT are taken; one issuer's can't be told from another's, so one issuer may.
    pub takes_opaque: bool,
    /// Whether the issuer is asked about each JWT, too, once its signature holds.
    pub asks_about_all: bool,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("keep", &self.keep)
            .field("takes_opaque", &self.takes_opaque)
            .field("asks_about_all", &self.asks_about_all)
            .finish_non_exhaustive()
    }
}

/// What an issuer said, as long as it is kept.
pub(super) struct Answers {
    introspection: Introspection,
    clock: Clock,
    places: Semaphore,
    kept: Mutex<HashMap<[u8; 32], Kept>>,
}

#[derive(Clone)]
struct Kept {
    /// `None`: the token is no good.
    claims: Option<Claims>,
    until: Instant,
}

impl Answers {
    pub(super) fn new(introspection: Introspection, clock: Clock) -> Self {
        Self { introspection, clock, places: Semaphore::new(MOST_AT_ONCE), kept: Mutex::default() }
    }

    /// The claims of a token that its issuer says is good.
    pub(super) async fn claims(&self, token: &str, settings: &IssuerSettings) -> Result<Claims, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let claims = match self.kept(&digest) {
            Some(kept) => kept.claims,
            None => self.ask(token, digest).await?,
        };
        let claims = claims.ok_or(Refusal::Inactive)?;
        Ok(claims.introspected(settings, Timestamp::now())?)
    }

    /// Whether the issuer is asked about tokens whose signature holds, too.
    pub(super) fn are_about_all(&self) -> bool {
        self.introspection.asks_about_all
    }

    fn kept(&self, digest: &[u8; 32]) -> Option<Kept> {
        let now = (self.clock)();
        // A panic elsewhere leaves whole answers behind.
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(digest).filter(|kept| now < kept.until).cloned()
    }

    async fn ask(&self, token: &str, digest: [u8; 32]) -> Result<Option<Claims>, TokenError> {
        let unavailable = || TokenError::IssuerUnavailable { retry_after_s: RETRY_AFTER_S };
        let _place = self.places.try_acquire().map_err(|_| unavailable())?;
        let asked_at = (self.clock)();
        let bytes = self.introspection.endpoint.ask(token).await.map_err(|failed| {
            tracing::warn!(reason = failed.reason, "an issuer could not be asked about a token");
            unavailable()
        })?;
        let claims = Claims::of_answer(&bytes).map_err(|_| {
            tracing::warn!("an issuer's answer about a token can't be read");
            unavailable()
        })?;
        self.keep(digest, Kept { claims: claims.clone(), until: asked_at + self.introspection.keep });
        Ok(claims)
    }

    fn keep(&self, digest: [u8; 32], answer: Kept) {
        let now = (self.clock)();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, kept| now < kept.until);
        }
        // Full of answers that are still good: this one is asked for again.
        if kept.len() < MOST_KEPT {
            kept.insert(digest, answer);
        }
    }
}

impl Claims {
    /// `None` when the issuer says anything but that the token is active.
    fn of_answer(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        let claims: Self = serde_json::from_slice(bytes)?;
        Ok((claims.get("active") == Some(&Value::Bool(true))).then_some(claims))
    }
}

#[cfg(test)]
mod tests;
