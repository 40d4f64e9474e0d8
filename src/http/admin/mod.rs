//! What administrators do; each act needs its own `anamnesis/admin.*` scope, which no wildcard implies.

pub mod access;
pub mod audit;
pub mod erasure;
mod feed_state;
pub mod findings;
pub mod jobs;
pub mod quarantine;
pub mod sources;
