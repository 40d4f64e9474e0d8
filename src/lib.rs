//! anamnesis: grounded, cited, scoped answers from clinical data.
//!
//! ```text
//! main.rs cli/          the command line                                   <- everything
//! http/      jobs/      drive it: requests | background work               (strangers to each other)
//! app.rs                wires config -> adapters -> flows, once, at start
//! flows/                one file per operation, read as a list of steps
//! stages/    adapters/  pure functions | the outside world                 (strangers to each other)
//! access/               who may read what; every read passes here
//! domain/               plain types, no I/O
//! config.rs telemetry.rs                                                   (anyone may use them)
//! ```
//!
//! Imports point down only; `tests/layers.rs` reads the source and holds it to that.

pub mod access;
pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod flows;
pub mod http;
pub mod jobs;
pub mod stages;
pub mod telemetry;
