//! Shapes that several answers share.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain;
use crate::domain::Timestamp;
use crate::stages::age::age_words;

/// A half-open range of bytes of a document version's normalized text (UTF-8).
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl From<domain::Span> for Span {
    fn from(span: domain::Span) -> Self {
        Self { start: span.start, end: span.end }
    }
}

/// When it was true, when the source said it, when it was received: RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Times {
    pub effective: Option<String>,
    pub source: Option<String>,
    pub received: String,
}

/// Times with the age that follows from them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Aged {
    pub times: Times,
    /// Whole seconds since the content was true: effective, else said, else received. Negative for what lies ahead.
    pub age_s: i64,
    /// The same for people: `3 years`.
    pub age: String,
}

impl Aged {
    pub fn new(effective: Option<Timestamp>, source: Option<Timestamp>, received: Timestamp, now: Timestamp) -> Self {
        let as_of = effective.or(source).unwrap_or(received);
        let age_s = now.seconds_since(as_of);
        let text = |time: Timestamp| time.to_string();
        Self {
            times: Times { effective: effective.map(text), source: source.map(text), received: text(received) },
            age_s,
            age: age_words(age_s),
        }
    }

    pub fn of_document(stored: &domain::StoredDocument, now: Timestamp) -> Self {
        Self::new(stored.document.times.effective, stored.document.times.source, stored.received_at, now)
    }
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Feed {
    pub source: String,
    /// `fresh`, `aging` or `stale`.
    pub status: &'static str,
    pub last_received_at: Option<String>,
    pub newest_source_time: Option<String>,
    /// Seconds since it was last heard from.
    pub age_s: Option<i64>,
    pub warn_after_s: u64,
    pub error_after_s: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IndexState {
    /// The last change that searches show. Null, as `newest_change`, for a token that doesn't take in every patient.
    pub watermark: Option<i64>,
    pub newest_change: Option<i64>,
    /// Age of the oldest change that searches don't show yet.
    pub lag_s: i64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Freshness {
    /// The worst of the feeds: `fresh`, `aging` or `stale`.
    pub status: &'static str,
    pub index: IndexState,
    pub feeds: Vec<Feed>,
}

fn status_word(status: domain::FreshnessStatus) -> &'static str {
    match status {
        domain::FreshnessStatus::Fresh => "fresh",
        domain::FreshnessStatus::Aging => "aging",
        domain::FreshnessStatus::Stale => "stale",
    }
}

impl From<&domain::FeedFreshness> for Feed {
    fn from(feed: &domain::FeedFreshness) -> Self {
        Self {
            source: feed.source.to_string(),
            status: status_word(feed.status),
            last_received_at: feed.last_received_at.map(|time| time.to_string()),
            newest_source_time: feed.newest_source_time.map(|time| time.to_string()),
            age_s: feed.age_s,
            warn_after_s: feed.warn_after_s,
            error_after_s: feed.error_after_s,
        }
    }
}

impl From<&domain::Freshness> for Freshness {
    fn from(freshness: &domain::Freshness) -> Self {
        Self {
            status: status_word(freshness.status()),
            index: IndexState {
                watermark: freshness.index.watermark,
                newest_change: freshness.index.newest_change,
                lag_s: freshness.index.lag_s,
            },
            feeds: freshness.feeds.iter().map(Feed::from).collect(),
        }
    }
}

impl Freshness {
    /// Only the feeds that an answer used. One that used none could have used any: it shows them all.
    pub fn of_sources(freshness: &domain::Freshness, used: &[&domain::SourceId]) -> Self {
        if used.is_empty() {
            return Self::from(freshness);
        }
        let feeds = freshness.feeds.iter().filter(|feed| used.contains(&&feed.source)).cloned().collect();
        Self::from(&domain::Freshness { index: freshness.index, feeds })
    }
}
