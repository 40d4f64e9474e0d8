//! The outside world: database, index, model runtime, key sets.

pub mod store;
