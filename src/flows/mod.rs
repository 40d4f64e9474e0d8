//! One file per operation, each to be read as a list of steps.

mod answer;
mod context;
mod derive;
mod embed;
mod evaluate;
mod freshness;
mod index_changes;
mod ingest;
mod reindex;
mod replay;
mod retrieve;

pub use answer::{AnswerError, AnswerFlow};
pub use context::{ContextFlow, PatientContextView};
pub use embed::{EmbedError, EmbeddingPool};
pub use evaluate::{EvaluationError, Judged, ModeFigures, evaluate};
pub use freshness::FreshnessFlow;
pub use index_changes::{IndexChangesError, IndexChangesFlow};
pub use ingest::{IngestError, IngestFlow};
pub use reindex::{ReindexEnd, ReindexError, ReindexFlow};
pub use replay::{ReplayError, ReplayFlow};
pub use retrieve::{Plan, RetrieveError, RetrieveFlow, Retrieved};
