//! What is written of each read and write: who, for what, whose, which versions, with what outcome.

use sha2::{Digest, Sha256};

use super::{DocumentKey, Timestamp};

/// One row of the audit trail. Holds no query and nothing of any record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    pub sequence: i64,
    pub tenant: String,
    pub at: Timestamp,
    pub caller: String,
    pub client: Option<String>,
    pub purpose: Option<String>,
    /// `read`, `write`, `admin`, `break_glass` or `refusal`.
    pub class: String,
    /// The grant that it was done under.
    pub break_glass: Option<String>,
    pub action: String,
    pub patient: Option<String>,
    /// [`DocumentKey`]s as JSON, as they were written.
    pub documents: String,
    pub outcome: String,
    pub request_id: String,
}

impl AuditRecord {
    /// The hash before the first row.
    pub fn genesis() -> String {
        hex::encode(Sha256::digest(b"anamnesis audit trail, version 1"))
    }

    /// The row's own hash, given that of the row before it.
    pub fn hash(&self, before: &str) -> String {
        let mut digest = Sha256::new();
        // Each part with its length, so that no two rows are written alike.
        let mut part = |bytes: Option<&[u8]>| match bytes {
            None => digest.update([0]),
            Some(bytes) => {
                digest.update([1]);
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(bytes);
            }
        };
        part(Some(before.as_bytes()));
        part(Some(&self.sequence.to_le_bytes()));
        part(Some(&self.at.as_micros().to_le_bytes()));
        for text in [&self.tenant, &self.caller, &self.class, &self.action] {
            part(Some(text.as_bytes()));
        }
        for text in [&self.client, &self.purpose, &self.break_glass, &self.patient] {
            part(text.as_deref().map(str::as_bytes));
        }
        for text in [&self.documents, &self.outcome, &self.request_id] {
            part(Some(text.as_bytes()));
        }
        hex::encode(digest.finalize())
    }

    /// The document versions whose content left.
    pub fn document_keys(&self) -> Vec<DocumentKey> {
        serde_json::from_str(&self.documents).unwrap_or_default()
    }
}

/// What is wrong with an audit trail, and at which row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// A row's content or hash isn't what was written.
    Altered(i64),
    /// Rows are missing before this one.
    Missing(i64),
    /// The trail ends before a row that was written and anchored.
    Cut(i64),
    /// An anchor's signature doesn't hold.
    Forged(i64),
    /// A row has another hash than was anchored.
    Rewritten(i64),
    /// There are rows and no anchor of any: the anchors were taken away.
    Unanchored,
}

/// What a walk over the trail came to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditVerdict {
    pub rows: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub anchors: u64,
    pub faults: Vec<AuditFault>,
}

impl AuditVerdict {
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}
