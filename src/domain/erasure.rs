//! A patient's erasure: asked for, under way, done, and what it came to.

use serde::{Deserialize, Serialize};

use super::{PatientId, TenantId, Timestamp};

/// How far an erasure has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureState {
    /// Nobody sees the records any more; they are being removed.
    UnderWay,
    /// Nothing of them is left.
    Done,
    /// What could be told apart is gone; some deliveries that couldn't be read may hold more.
    Incomplete,
}

impl ErasureState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::Done => "done",
            Self::Incomplete => "incomplete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::UnderWay, Self::Done, Self::Incomplete].into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Erasure {
    pub id: String,
    pub tenant: TenantId,
    /// Every id that the person goes by.
    pub patients: Vec<PatientId>,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: Timestamp,
    pub last_delivery: i64,
    pub state: ErasureState,
    pub certificate: Option<Certificate>,
}

/// What was removed, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Certificate {
    pub completed_at: String,
    pub documents: u64,
    pub versions: u64,
    pub facts: u64,
    pub findings: u64,
    /// Deliveries that were looked through.
    pub deliveries_searched: u64,
    /// Deliveries of which some records went, and the rest was kept.
    pub deliveries_cut: u64,
    /// Deliveries of which nothing is left.
    pub deliveries_emptied: u64,
    pub records: u64,
    pub quarantined: u64,
    pub embeddings: u64,
    /// Deliveries that could never be read and name the patient: they are kept, and are for a person to look at.
    pub unresolved: u64,
    /// Index segments written anew without the records, older generations removed, database and log rewritten.
    pub rewritten: bool,
    /// HMAC-SHA256 over all of the above and the erasure's own particulars, with the key of the audit trail.
    #[serde(default)]
    pub signature: String,
}
