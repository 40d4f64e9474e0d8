//! The outside world: database, index, model runtime, key sets.

pub mod index;
pub mod inference;
pub mod jwks;
pub mod sources;
pub mod store;
