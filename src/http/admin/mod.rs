//! What administrators do; each act needs its own `anamnesis/admin.*` scope, which no wildcard implies.

pub mod findings;
pub mod jobs;
pub mod quarantine;
pub mod sources;
