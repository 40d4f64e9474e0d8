//! Feeds that fetch from FHIR servers, or are told by them, against a server that drops, repeats, reorders and delays:
//! in the end the store equals the source.

mod backend;
mod bulk;
mod bulk_side;
mod harness;
mod mock;
mod poll;
mod starting;
mod subscription;
#[path = "../support/tiny_model.rs"]
mod tiny_model;
mod world;
