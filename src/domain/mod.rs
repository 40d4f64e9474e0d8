//! The field's own types: plain values, no I/O, no knowledge of any format or database.

mod answer;
mod chunk;
mod context;
mod document;
mod fact;
mod freshness;
mod ids;
mod job;
mod query;
mod record;
mod time;

pub use answer::{Abstention, Answer, AnswerStatus, Citation, Sentence};
pub use chunk::{Chunk, Section, Span};
pub use context::{ContextLine, PatientContext};
pub use document::{
    Confidentiality, ContentHash, Document, DocumentKey, DocumentStatus, Kind, Labels, StoredDocument, Times,
};
pub use fact::{Fact, FactKind, FactValue, StoredFact};
pub use freshness::{FeedFreshness, Freshness, FreshnessStatus, IndexFreshness};
pub use ids::{DocumentId, JobId, PatientId, QuarantineId, ReceiptId, SourceId, TenantId};
pub use job::{Job, JobState, ReindexTarget};
pub use query::{Explanation, Filters, Fusion, Hit, Mode, Passage, Query, QueryError, SideRank};
pub use record::{
    Account, CrmMapping, Delivery, Finding, Format, Normalized, Outcome, QuarantineReason, RawRecord, RecordAction,
    Severity, SourceDescription, Unreadable,
};
pub use time::Timestamp;
