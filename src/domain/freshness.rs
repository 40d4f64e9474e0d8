//! How old what we know is, per feed and for the index.

use serde::{Deserialize, Serialize};

use super::{SourceId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessStatus {
    Fresh,
    /// Past `warn_after`.
    Aging,
    /// Past `error_after`, or never heard from.
    Stale,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FeedFreshness {
    pub source: SourceId,
    pub last_received_at: Option<Timestamp>,
    /// The newest time the source itself put on what it sent.
    pub newest_source_time: Option<Timestamp>,
    pub warn_after_s: u64,
    pub error_after_s: u64,
    pub age_s: Option<i64>,
    pub status: FreshnessStatus,
}

impl FeedFreshness {
    pub fn judge(age_s: Option<i64>, warn_after_s: u64, error_after_s: u64) -> FreshnessStatus {
        match age_s.map(|age| age.max(0).unsigned_abs()) {
            None => FreshnessStatus::Stale,
            Some(age) if age > error_after_s => FreshnessStatus::Stale,
            Some(age) if age > warn_after_s => FreshnessStatus::Aging,
            Some(_) => FreshnessStatus::Fresh,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexFreshness {
    /// The last change the index shows; `None` for a caller who may not know how much is going on.
    pub watermark: Option<i64>,
    /// The last change the store holds; `None` likewise.
    pub newest_change: Option<i64>,
    /// Age of the oldest change the index doesn't show yet; 0 when it shows all.
    pub lag_s: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Freshness {
    pub index: IndexFreshness,
    pub feeds: Vec<FeedFreshness>,
}

impl Freshness {
    /// The worst of the feeds; `Fresh` when there are none.
    pub fn status(&self) -> FreshnessStatus {
        self.feeds.iter().map(|feed| feed.status).max().unwrap_or(FreshnessStatus::Fresh)
    }
}
