//! The last steps of every answer: its quotes held against the store, and what is too old withheld.

use std::collections::{BTreeSet, HashMap};

use super::{AnswerError, AnswerFlow, cited};
use crate::access::Access;
use crate::domain::{Answer, DocumentKey, FreshnessStatus, SourceId, StoredDocument, Timestamp};
use crate::stages::ground::{verify, withhold};

impl AnswerFlow {
    /// Every quote must stand in the store, now, within the caller's reach.
    pub(super) async fn hold_against_store(&self, access: &Access, answer: Answer) -> Result<Answer, AnswerError> {
        let mut keys: Vec<DocumentKey> = cited(&answer);
        keys.sort();
        keys.dedup();
        let documents: HashMap<DocumentKey, StoredDocument> = self.store.documents_of_hits(access, &keys).await?;
        Ok(verify(&answer, |key| documents.get(key).map(|stored| stored.document.text.as_str())))
    }

    /// Where the policy says so, what comes from a feed that has been silent beyond its `error_after` isn't said.
    pub(super) async fn withhold_stale(&self, access: &Access, answer: Answer) -> Result<Answer, AnswerError> {
        if !self.settings.withhold_stale {
            return Ok(answer);
        }
        let feeds = self.store.feeds(access, Timestamp::now())?;
        let stale: BTreeSet<SourceId> =
            feeds.into_iter().filter(|feed| feed.status == FreshnessStatus::Stale).map(|feed| feed.source).collect();
        Ok(withhold(answer, &stale))
    }
}
