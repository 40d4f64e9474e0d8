//! One file per operation, each to be read as a list of steps.

mod admission;
mod answer;
mod context;
mod count;
mod derive;
mod embed;
mod embedding_queue;
mod freshness;
mod index_changes;
mod ingest;
mod original;
mod query_cache;
mod reading;
mod receive_message;
mod receive_notification;
mod reindex;
mod replay;
mod retrieve;
mod take_file;

pub use admission::{Admission, Busy, IngestLimits};
pub use answer::{AnswerError, AnswerFlow, Begun, PASSAGES, Writer, Writing, cited};
pub use context::{ContextFlow, PatientContextView};
pub use count::{CountError, CountFlow};
pub use embed::{EmbedError, EmbeddingPool};
pub use freshness::FreshnessFlow;
pub use index_changes::{IndexChangesError, IndexChangesFlow};
pub use ingest::{IngestError, IngestFlow, ReadDelivery};
pub use original::OriginalFlow;
pub use reading::Reading;
pub use receive_message::{ReceiveMessageFlow, Received};
pub use receive_notification::{Gap, Inbox, NotificationError, NotificationFlow, Sequence};
pub use reindex::{ReindexEnd, ReindexError, ReindexFlow};
pub use replay::{ReplayError, ReplayFlow};
pub use retrieve::{Plan, RetrieveError, RetrieveFlow, Retrieved};
pub use take_file::{OpenedFile, TakeFileError, TakeFileFlow};
