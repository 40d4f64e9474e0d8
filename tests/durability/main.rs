//! The binary as its operators run it: processes that are killed, stopped and started again, and what they keep.
//!
//! Each test has a folder of its own with configuration, data and a model with random weights. Searches by
//! keyword don't depend on the weights; vectors only have to be the same each time.

mod accounting;
mod cli;
mod fixtures;
mod home;
mod index_lifecycle;
mod kill_9;
mod quarantine;
mod reading;
mod reindex;
mod server;
mod shutdown;
#[path = "../support/tiny_model.rs"]
mod tiny_model;
mod trail;
