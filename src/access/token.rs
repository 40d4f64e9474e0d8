//! Verifies a bearer token and makes an `Access` of it.

pub struct DevelopmentKey;
pub struct IssuerSettings;
pub struct KeySource;
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct TokenError;
pub struct Verifier;
