//! Background work beside the server: reading what landed, indexing what changed, running jobs.
//!
//! The database is the only input: each loop looks for work when it is woken, and every half second in case
//! another process left some. Run twice, or after a crash, it ends alike.

mod feeds;
mod runner;

pub use runner::{Background, erase_next, run_reindex_job};
