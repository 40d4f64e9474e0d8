//! Whether a language model writes answers, which, and what it may be shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A language model that writes where documents are quoted otherwise. Every sentence of it is held against its
/// citations; what can't be proved is never sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// `none` (default), `remote` or `local`.
    pub kind: String,
    /// Of a remote one: what stands before `/chat/completions`. https, or http on this machine.
    pub url: Option<String>,
    /// The model's name at the endpoint.
    pub model: Option<String>,
    /// The name of a secret that holds the endpoint's key.
    pub key: Option<String>,
    /// Of a local one: its manifest.
    pub manifest: Option<PathBuf>,
    /// Tokens in an answer, at most; default 256.
    pub max_tokens: u32,
    /// Milliseconds to connect; default 3,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds until the first piece, and between two; default 20,000.
    pub piece_timeout_ms: u64,
    /// Milliseconds for a whole answer; default 60,000.
    pub total_timeout_ms: u64,
    /// Attempts before the first piece, in all; default 2.
    pub attempts: u32,
    /// After so many failures in a row it is left alone for `rest_ms`; default 5 and 30,000.
    pub failures: u32,
    pub rest_ms: u64,
    /// What of the records may be sent to a remote one: `none` (default), `deidentified` or `full`. Documents with a
    /// sensitivity label or a confidentiality above normal are never sent.
    pub leaving: String,
    /// The same for single sources, by name.
    pub leaving_by_source: BTreeMap<String, String>,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            kind: "none".to_owned(),
            url: None,
            model: None,
            key: None,
            manifest: None,
            max_tokens: 256,
            connect_timeout_ms: 3_000,
            piece_timeout_ms: 20_000,
            total_timeout_ms: 60_000,
            attempts: 2,
            failures: 5,
            rest_ms: 30_000,
            leaving: "none".to_owned(),
            leaving_by_source: BTreeMap::new(),
        }
    }
}
