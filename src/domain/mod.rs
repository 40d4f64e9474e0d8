//! The field's own types: plain values, no I/O, no knowledge of any format or database.

mod answer;
mod audit;
mod care_team;
mod chunk;
mod consent;
mod context;
mod document;
mod erasure;
mod facet;
mod fact;
mod feed;
mod format;
mod freshness;
mod identity;
mod ids;
mod job;
pub mod mapping;
mod prompt;
mod query;
mod record;
pub mod resource_types;
mod source;
mod time;

pub use answer::{
    Abstention, Answer, AnswerFinding, AnswerStatus, Ask, Check, Citation, Conflict, Point, Route, Sentence, Series,
    Verdict, page_of,
};
pub use audit::{AuditFault, AuditRecord, AuditVerdict};
pub use care_team::{CareTeam, Membership};
pub use chunk::{Chunk, Section, Span};
pub use consent::{Consent, Provision};
pub use context::{ContextLine, PatientContext};
pub use document::{
    Confidentiality, ContentHash, Document, DocumentKey, DocumentStatus, Kind, Labels, StoredDocument, Times, coded,
    decoded,
};
pub use erasure::{Certificate, Erasure, ErasureState};
pub use facet::{CountQuery, Counts, Facet, FacetCounts};
pub use fact::{Fact, FactKind, FactValue, StoredFact};
pub use feed::{
    BulkFeed, Feed, FhirCredentials, FilesFeed, MllpFeed, PollFeed, SecretName, SubscriptionFeed, WebhookFeed,
    WebhookSignature,
};
pub use format::Format;
pub use freshness::{FeedFreshness, Freshness, FreshnessStatus, IndexFreshness};
pub use identity::Identity;
pub use ids::{DocumentId, JobId, PatientId, QuarantineId, ReceiptId, SourceId, TenantId};
pub use job::{Job, JobState, ReindexTarget};
pub use mapping::{Mapping, UnusableMapping};
pub use prompt::{Leaving, Prompt};
pub use query::{Explanation, Filters, Fusion, Hit, Mode, Passage, Query, QueryError, SideRank, Tuning};
pub use record::{
    Account, Changes, Delivery, Finding, Normalized, Outcome, PatientMerge, QuarantineReason, RawRecord, RecordAction,
    Removal, Severity, Unreadable,
};
pub use source::SourceDescription;
pub use time::{Timestamp, today};
