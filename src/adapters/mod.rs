//! The outside world: database, index, model runtime, key sets.

pub mod index;
pub mod store;
