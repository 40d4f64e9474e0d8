//! The outside world: database, index, model runtime, token issuers, certificates.

pub mod index;
pub mod inference;
pub mod issuers;
pub mod sources;
pub mod store;
pub mod tls;
