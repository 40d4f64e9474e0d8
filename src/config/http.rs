//! What is configured of the product's port: TLS, other origins, and how long a client may take.

use std::path::PathBuf;

use serde::Deserialize;

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Our certificate and those that lead to its authority, PEM. With a private key the port speaks TLS only.
    /// `ANAMNESIS_TLS_CERTIFICATE`; default none.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM. `ANAMNESIS_TLS_PRIVATE_KEY`; default none.
    pub private_key: Option<PathBuf>,
    /// Whose pages may ask from a browser: `https://crm.example.org`; default none.
    pub allowed_origins: Vec<String>,
    /// Milliseconds for a TLS handshake, and for the head of a request; default 10,000.
    pub head_timeout_ms: u64,
    /// Milliseconds between two parts of a request's body, which also must come at 500 bytes a second; default 30,000.
    pub body_timeout_ms: u64,
    /// Milliseconds in which a client must take some of an answer; default 30,000.
    pub answer_timeout_ms: u64,
    /// Milliseconds that a connection is kept for a next request; default 5,000.
    pub keep_alive_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            private_key: None,
            allowed_origins: Vec::new(),
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            answer_timeout_ms: 30_000,
            keep_alive_ms: 5_000,
        }
    }
}
