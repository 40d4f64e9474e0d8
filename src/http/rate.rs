//! How often one caller may ask: a bucket for each, filled as time goes by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::http::StatusCode;

use super::problem::Problem;
use crate::access::Access;

/// Buckets held at once; full ones are forgotten first, as a new one would be full too.
const MOST_BUCKETS: usize = 100_000;

/// Requests that each caller of each client may make.
pub struct RateLimit {
    per_minute: u32,
    buckets: Mutex<HashMap<(String, String, String), Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Requests left.
    left: f64,
    /// Microseconds, when that was so.
    at: i64,
}

impl RateLimit {
    /// 0 is no limit.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::default() }
    }

    /// Errors: the caller has to wait, and how long.
    pub fn take(&self, access: &Access, now_micros: i64) -> Result<(), Problem> {
        let client = access.client().unwrap_or_default().to_owned();
        let wait = self.wait_s((access.tenant().to_string(), client, access.caller().to_owned()), now_micros);
        match wait {
            None => Ok(()),
            Some(seconds) => Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
                .detail(format!("at most {} requests a minute", self.per_minute))
                .retry_after_s(seconds)),
        }
    }

    fn wait_s(&self, who: (String, String, String), now: i64) -> Option<u64> {
        if self.per_minute == 0 {
            return None;
        }
        let full = f64::from(self.per_minute);
        let a_second = full / 60.0;
        let filled = |bucket: &Bucket| {
            let passed = (now - bucket.at).max(0) as f64 / 1e6;
            (bucket.left + passed * a_second).min(full)
        };
        // A panic elsewhere leaves whole buckets behind.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| filled(bucket) < full);
        }
        let bucket = buckets.entry(who).or_insert(Bucket { left: full, at: now });
        let left = filled(bucket);
        if left < 1.0 {
            return Some(((1.0 - left) / a_second).ceil() as u64);
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> (String, String, String) {
        ("north".to_owned(), "portal".to_owned(), name.to_owned())
    }

    #[test]
    fn a_caller_waits_once_the_bucket_is_empty_and_others_do_not() {
        let limit = RateLimit::new(60);
        assert!((0..60).all(|_| limit.wait_s(who("a"), 0).is_none()));
        assert_eq!(limit.wait_s(who("a"), 0), Some(1));
        assert_eq!(limit.wait_s(who("b"), 0), None);
        assert_eq!(limit.wait_s(who("a"), 500_000), Some(1));
        assert_eq!(limit.wait_s(who("a"), 1_000_000), None);
        assert_eq!(limit.wait_s(who("a"), 1_000_000), Some(1));
        assert!((0..60).all(|_| limit.wait_s(who("a"), 100_000_000).is_none()));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let limit = RateLimit::new(0);
        assert!((0..10_000).all(|_| limit.wait_s(who("a"), 0).is_none()));
    }
}
