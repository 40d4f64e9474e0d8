//! Who may do what. Every read for people takes an [`Access`], and only a verified token makes one.
//!
//! [`Verifier`] turns a bearer token into an [`Access`]. Its [`Reach`] answers "may this caller see this
//! row"; [`Permit`] is the proof for a write or an administrative act. [`Upkeep`] is what background work
//! holds instead: no read path for people takes it.

mod claims;
mod issuer;
mod jwks;
mod key_cache;
mod mint;
mod operations;
mod permit;
mod reach;
mod scope;
#[cfg(test)]
mod test_keys;
mod token;
mod token_error;
mod upkeep;

pub use issuer::{IssuerSettings, KeySource, SettingsError, SigningAlgorithm, TenantSource};
pub use key_cache::{FetchFailed, FetchJwks, FetchedJwks};
pub use mint::{DevelopmentKey, TokenGrant};
pub use permit::{Denied, Operation, Permit};
pub use reach::{Access, Act, Clearance, Patients, Reach, Types, Window};
pub use token::Verifier;
pub use token_error::{Refusal, TokenError};
pub use upkeep::Upkeep;
