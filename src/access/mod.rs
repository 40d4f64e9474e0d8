//! Who may do what. Every read for people takes an [`Access`], and only a verified token makes one.
//!
//! [`Reach`] answers "may this caller see this row"; [`Permit`] is the proof for a write or an
//! administrative act. [`Upkeep`] is what background work holds instead: no read path for people takes it.

mod permit;
mod reach;
mod scope;
mod token;
mod upkeep;

pub use permit::{Denied, Operation, Permit};
pub use reach::{Access, Act, Clearance, Patients, Reach, Types, Window};
pub use token::{DevelopmentKey, IssuerSettings, KeySource, TokenError, Verifier};
pub use upkeep::Upkeep;
