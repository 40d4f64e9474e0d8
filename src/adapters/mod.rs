//! The outside world: database, index, model runtime, token issuers.

pub mod index;
pub mod inference;
pub mod issuers;
pub mod sources;
pub mod store;
