//! Who may do what. Every read for people takes an [`Access`], and only a verified token makes one.
//!
//! [`Verifier`] turns a bearer token into an [`Access`]. Its [`Reach`] answers "may this caller see this
//! row"; [`Permit`] is the proof for a write or an administrative act. [`Upkeep`] is what background work
//! holds instead: no read path for people takes it.
//!
//! Unscoped reads don't compile. An `Access` can't be made by hand:
//!
//! ```compile_fail
//! let access = anamnesis::access::Access { tenant: anamnesis::domain::TenantId::new("main") };
//! ```
//!
//! nor a `Permit`, nor a `Reach` that is wider than a token's:
//!
//! ```compile_fail
//! let reach = anamnesis::access::Reach { windows: Vec::new(), clearance: Default::default() };
//! ```
//!
//! nor the proof that a signed post was verified:
//!
//! ```compile_fail
//! let proof = anamnesis::access::WebhookProof { digest: String::new(), ..unreachable!() };
//! ```
//!
//! A document can't be read without one, and the pass of background work doesn't open it:
//!
//! ```compile_fail
//! async fn read(store: anamnesis::adapters::store::Store, id: anamnesis::domain::DocumentId) {
//!     let _ = store.document(&anamnesis::access::Upkeep::begin(), &id).await;
//! }
//! ```
//!
//! The index gives rows for a scope only, and only an `Access` opens a scope:
//!
//! ```compile_fail
//! fn search(snapshot: &anamnesis::adapters::index::Snapshot) {
//!     let scope = anamnesis::adapters::index::Scope { rows: Default::default() };
//!     let _ = snapshot.keyword(&scope, "warfarin", true);
//! }
//! ```
//!
//! With an `Access` the same read builds:
//!
//! ```
//! async fn read(
//!     store: anamnesis::adapters::store::Store,
//!     access: anamnesis::access::Access,
//!     id: anamnesis::domain::DocumentId,
//! ) {
//!     let _ = store.document(&access, &id).await;
//! }
//! ```

mod care_teams;
mod claims;
mod condition;
mod consent;
mod glass;
mod introspection;
mod issuer;
mod jwks;
mod key_cache;
mod mint;
mod operations;
mod permit;
mod policy;
mod profile;
mod reach;
mod scope;
mod shared_secret;
#[cfg(test)]
mod test_keys;
mod token;
mod token_error;
mod upkeep;
mod webhook;
mod window;

pub use glass::Glass;
pub use introspection::{AskIssuer, Introspection};
pub use issuer::{IssuerSettings, KeySource, SettingsError, SigningAlgorithm, TenantSource};
pub use key_cache::{FetchFailed, FetchJwks, FetchedJwks};
pub use mint::{DevelopmentKey, TokenGrant};
pub use permit::{Denied, Operation, Permit, Types};
pub use policy::{NoGrant, Policy, Revoked};
pub use profile::Profile;
pub use reach::{Access, Act, Clearance, Reach, Row};
pub use shared_secret::SharedSecret;
pub use token::Verifier;
pub use token_error::{Refusal, TokenError};
pub use upkeep::Upkeep;
pub use webhook::{SignedPost, WebhookProof, WebhookRefusal, verify_webhook};
pub use window::{Patients, Window};
