//! Configuration: one TOML file and `ANAMNESIS_*` variables. The only reader of the environment.

mod generator;
mod http;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use generator::GeneratorConfig;
pub use http::HttpConfig;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} can't be read")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is not valid: {source}")]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{name} is not valid: {expected}")]
    Variable { name: &'static str, expected: &'static str },
}

/// Everything that can be set. A variable wins over the file, the file over the default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the store and the index live. `ANAMNESIS_DATA_DIR`; default `data`.
    pub data_dir: PathBuf,
    /// Where model weights are cached. `ANAMNESIS_MODEL_DIR`; default: the user's cache folder.
    pub model_dir: PathBuf,
    /// A model manifest. `ANAMNESIS_MODEL_MANIFEST`; default: the one built in.
    pub model_manifest: Option<PathBuf>,
    /// The manifest of a cross-encoder that orders the best hits of hybrid searches again.
    /// `ANAMNESIS_RERANKER_MANIFEST`; default: none.
    pub reranker_manifest: Option<PathBuf>,
    /// `cpu`, `cuda:N` or `metal:N`. `ANAMNESIS_DEVICE`; default `cpu`.
    pub device: String,
    /// `auto`, `f32`, `int8` or `int7`. `ANAMNESIS_PRECISION`; default `auto`: the fastest the processor has instructions
    /// for, of those whose quality was measured for the model.
    pub precision: String,
    /// `ANAMNESIS_LISTEN`; default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Health and metrics. `ANAMNESIS_OPERATIONS_LISTEN`; default `127.0.0.1:9090`.
    pub operations_listen: SocketAddr,
    /// The tenant of the sources declared here and of the command line. `ANAMNESIS_TENANT`; default `main`.
    pub tenant: String,
    /// Folders of this machine that feeds may take files from; default none, so that no feed may.
    pub file_roots: Vec<PathBuf>,
    /// Largest body taken, in bytes; default 64 MiB.
    pub max_body_bytes: usize,
    /// Bytes of deliveries held in memory at once while they come in; default 256 MiB.
    pub max_inflight_bytes: usize,
    /// Bytes that may have landed and wait to be read before senders are asked to wait; default 2 GiB.
    pub max_backlog_bytes: u64,
    /// `ANAMNESIS_LOG`; default `info`.
    pub log: String,
    /// `text` or `json`. `ANAMNESIS_LOG_FORMAT`; default `text`.
    pub log_format: String,
    /// A file with at least 32 bytes of secret: accepts HS256 tokens that `anamnesis token` mints.
    /// For development only. `ANAMNESIS_DEVELOPMENT_KEY_FILE`; default none.
    pub development_key_file: Option<PathBuf>,
    /// The address that the world reaches this server by, without a path: `https://hooks.example.org`. Some senders of
    /// webhooks sign it. `ANAMNESIS_PUBLIC_URL`; default none.
    pub public_url: Option<String>,
    /// A folder with one file for each secret that a feed names. `ANAMNESIS_SECRETS_DIR`; default none.
    pub secrets_dir: Option<PathBuf>,
    pub http: HttpConfig,
    pub index: IndexConfig,
    pub answer: AnswerConfig,
    pub access: AccessConfig,
    #[serde(rename = "client")]
    pub clients: Vec<ClientConfig>,
    pub generator: GeneratorConfig,
    #[serde(rename = "issuer")]
    pub issuers: Vec<IssuerConfig>,
    #[serde(rename = "source")]
    pub sources: Vec<SourceConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// How many chunks can be compared in the time of one walk through the graph; default 25,000. Scopes of up to so
    /// many are always compared chunk by chunk.
    pub exact_up_to: usize,
    /// The graph is built once more chunks than this are held; default 50,000.
    pub graph_from: usize,
    /// Most changes taken into one commit; default 512.
    pub batch: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerConfig {
    /// Evidence below this (0 to 1) makes an abstention; default 0.475, the highest in steps of 0.025 that at least 95 in 100
    /// train questions of SciFact and PubMedQA reach with their document at hand. Calibrate it on one's own questions.
    pub min_evidence: f32,
    /// Sentences in an answer, at most; default 3.
    pub max_sentences: usize,
    /// Withhold what comes from a feed that has been silent beyond its `error_after_s`; default no: it is said, aged.
    pub withhold_stale: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Whether `user/` scopes reach those on the caller's loaded list only; default false: without a list, the tenant.
    pub needs_roster: bool,
    /// Sources whose FHIR CareTeams list their patients for the practitioners in them; then `needs_roster` is meant, too.
    pub care_team_sources: Vec<String>,
    /// A file with at least 32 bytes of secret that signs the anchors of the audit trail; default: one that is made in
    /// the data folder.
    pub audit_key_file: Option<PathBuf>,
    /// Whether a read waits until its row of the audit trail is on the disk; default false: it is with the operating
    /// system before the answer leaves, and on the disk a moment later.
    pub audit_reads_wait: bool,
    /// The name of the secret, of at least 32 bytes, that surrogates, pseudonyms and shifts of dates are made with; needed
    /// by clients that are set to `deidentify`. Another secret makes others of them.
    pub deidentify_key: Option<String>,
    /// Requests a minute of one caller by one client, answered with 429 beyond; default 0: no limit.
    pub requests_per_minute: u32,
}

/// The minimum necessary for one client, whatever its tokens open. Lists that are left out don't cap.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The token's `client_id` (or `azp`).
    pub id: String,
    /// `note`, `result`, `appointment`, ...
    pub kinds: Option<Vec<String>>,
    /// Of demographics: `name`, `birthDate`, `gender`, ...
    pub fields: Option<Vec<String>>,
    /// Nothing older than this many days at the start of the server.
    pub days: Option<u32>,
    /// Purposes of use that its tokens may state, and must.
    pub purposes: Option<Vec<String>>,
    /// Everything it gets is de-identified; needs `access.deidentify_key`.
    #[serde(default)]
    pub deidentify: bool,
}

/// Whose tokens are taken. No issuer and no development key: every token is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    pub issuer: String,
    pub audience: String,
    /// All of its tokens belong to this tenant; or name the claim that says so.
    pub tenant: Option<String>,
    pub tenant_claim: Option<String>,
    /// One of the three.
    pub jwks_file: Option<PathBuf>,
    pub jwks_url: Option<String>,
    /// Where the issuer's metadata is: `https://.../.well-known/openid-configuration`.
    pub discovery_url: Option<String>,
    /// For clients that ask us where tokens are to be had.
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    /// `RS256`, `RS384`, `ES256`, `ES384`, `EdDSA`; default all of them.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// The claim with the launch patient; default `patient`.
    pub patient_claim: Option<String>,
    /// The claim with sensitivity codes the caller is cleared for; default none, so all labelled data is withheld.
    pub clearance_claim: Option<String>,
    /// Longest `exp - iat` taken, in seconds; default: any.
    pub max_lifetime_s: Option<u64>,
    /// Where it is asked about tokens (RFC 7662); HTTPS, or HTTP on loopback; default: nowhere.
    pub introspection_url: Option<String>,
    /// What it knows us by, and the name of the secret that proves it.
    pub introspection_client: Option<String>,
    pub introspection_secret: Option<String>,
    /// Whether it is asked about each JWT, too; default false.
    #[serde(default)]
    pub introspect: bool,
    /// Whether its tokens that are no JWT are taken, which one issuer's may; default false.
    #[serde(default)]
    pub opaque_tokens: bool,
    /// Seconds for which an answer is kept, and never beyond the token's end; default 30.
    #[serde(default = "half_a_minute")]
    pub introspection_keep_s: u64,
}

/// A feed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    pub name: String,
    /// Sources with one namespace mean the same patients by the same ids; default `main`.
    #[serde(default = "primary_namespace")]
    pub patients: String,
    /// Seconds of silence after which the feed counts as aging; default one day.
    #[serde(default = "one_day")]
    pub warn_after_s: u64,
    /// Seconds of silence after which it counts as stale; default one week.
    #[serde(default = "one_week")]
    pub error_after_s: u64,
    /// How rows and objects become documents: a mapping file (TOML), relative to this file, or the name of a mapping
    /// that comes with the program, which has no ending: `salesforce`.
    pub mapping: Option<PathBuf>,
    /// How its records come in, beginning with `mode`; default: senders push.
    pub feed: Option<toml::Table>,
}

#[derive(Deserialize)]
struct SourcesFile {
    #[serde(default, rename = "source")]
    sources: Vec<SourceConfig>,
}

impl SourceConfig {
    /// The `[[source]]` of a file; other settings in it are not looked at.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let file: SourcesFile = toml::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut sources = file.sources;
        sources.iter_mut().for_each(|source| source.resolve_paths(folder));
        Ok(sources)
    }

    /// A shipped mapping goes by its name; any other is a file.
    fn resolve_paths(&mut self, folder: &Path) {
        self.mapping.iter_mut().filter(|mapping| !is_bare_name(mapping)).for_each(|path| *path = folder.join(&*path));
    }
}

fn primary_namespace() -> String {
    "main".to_owned()
}

fn half_a_minute() -> u64 {
    30
}

pub fn one_day() -> u64 {
    86_400
}

pub fn one_week() -> u64 {
    604_800
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            model_dir: default_model_dir(),
            model_manifest: None,
            reranker_manifest: None,
            device: "cpu".to_owned(),
            precision: "auto".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            operations_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            tenant: "main".to_owned(),
            file_roots: Vec::new(),
            max_body_bytes: 64 * 1024 * 1024,
            max_inflight_bytes: 256 * 1024 * 1024,
            max_backlog_bytes: 2 * 1024 * 1024 * 1024,
            log: "info".to_owned(),
            log_format: "text".to_owned(),
            development_key_file: None,
            public_url: None,
            secrets_dir: None,
            http: HttpConfig::default(),
            index: IndexConfig::default(),
            answer: AnswerConfig::default(),
            access: AccessConfig::default(),
            clients: Vec::new(),
            generator: GeneratorConfig::default(),
            issuers: Vec::new(),
            sources: Vec::new(),
        }
    }
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self { exact_up_to: 25_000, graph_from: 50_000, batch: 512 }
    }
}

impl Default for AnswerConfig {
    fn default() -> Self {
        Self { min_evidence: 0.475, max_sentences: 3, withhold_stale: false }
    }
}

fn default_model_dir() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or(home).unwrap_or_else(|| PathBuf::from(".cache")).join("anamnesis").join("models")
}

impl Config {
    /// Reads the file (if one is named, here or by `ANAMNESIS_CONFIG`), then the variables.
    /// Relative paths in the file are taken from its own folder.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = std::env::var_os("ANAMNESIS_CONFIG").map(PathBuf::from);
        let mut config = match file.map(Path::to_owned).or(named) {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        config.apply_variables()?;
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.data_dir);
        resolve(&mut self.model_dir);
        self.model_manifest.iter_mut().for_each(resolve);
        self.reranker_manifest.iter_mut().for_each(resolve);
        self.generator.manifest.iter_mut().for_each(resolve);
        self.file_roots.iter_mut().for_each(resolve);
        self.development_key_file.iter_mut().for_each(resolve);
        self.secrets_dir.iter_mut().for_each(resolve);
        self.http.certificate.iter_mut().for_each(resolve);
        self.http.private_key.iter_mut().for_each(resolve);
        self.access.audit_key_file.iter_mut().for_each(resolve);
        self.issuers.iter_mut().filter_map(|issuer| issuer.jwks_file.as_mut()).for_each(resolve);
        self.sources.iter_mut().for_each(|source| source.resolve_paths(folder));
    }

    fn apply_variables(&mut self) -> Result<(), ConfigError> {
        text_variable("ANAMNESIS_DATA_DIR", |value| self.data_dir = value.into());
        text_variable("ANAMNESIS_MODEL_DIR", |value| self.model_dir = value.into());
        text_variable("ANAMNESIS_MODEL_MANIFEST", |value| self.model_manifest = Some(value.into()));
        text_variable("ANAMNESIS_RERANKER_MANIFEST", |value| self.reranker_manifest = Some(value.into()));
        text_variable("ANAMNESIS_DEVICE", |value| self.device = value);
        text_variable("ANAMNESIS_PRECISION", |value| self.precision = value);
        text_variable("ANAMNESIS_TENANT", |value| self.tenant = value);
        text_variable("ANAMNESIS_LOG", |value| self.log = value);
        text_variable("ANAMNESIS_LOG_FORMAT", |value| self.log_format = value);
        text_variable("ANAMNESIS_DEVELOPMENT_KEY_FILE", |value| self.development_key_file = Some(value.into()));
        text_variable("ANAMNESIS_PUBLIC_URL", |value| self.public_url = Some(value));
        text_variable("ANAMNESIS_SECRETS_DIR", |value| self.secrets_dir = Some(value.into()));
        text_variable("ANAMNESIS_TLS_CERTIFICATE", |value| self.http.certificate = Some(value.into()));
        text_variable("ANAMNESIS_TLS_PRIVATE_KEY", |value| self.http.private_key = Some(value.into()));
        address_variable("ANAMNESIS_LISTEN", &mut self.listen)?;
        address_variable("ANAMNESIS_OPERATIONS_LISTEN", &mut self.operations_listen)
    }

    pub fn store_path(&self) -> PathBuf {
        self.data_dir.join("store.sqlite")
    }

    pub fn index_path(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// The secret of that name: the variable `ANAMNESIS_SECRET_<NAME>` (letters upper case, `-` as `_`), else the
    /// file `<secrets_dir>/<name>` without its last line end.
    ///
    /// `None` when it is nowhere, empty, or the name has other than letters, digits, `-` and `_`, so that no name
    /// that came in by the interface can reach another file or variable.
    pub fn secret(&self, name: &str) -> Option<Vec<u8>> {
        if !is_secret_name(name) {
            return None;
        }
        let variable = format!("ANAMNESIS_SECRET_{}", name.to_ascii_uppercase().replace('-', "_"));
        let from_variable = || std::env::var(variable).ok().map(String::into_bytes);
        let from_file = || std::fs::read(self.secrets_dir.as_ref()?.join(name)).ok().map(without_line_end);
        let present = |secret: &Vec<u8>| !secret.is_empty();
        from_variable().filter(present).or_else(|| from_file().filter(present))
    }
}

fn is_bare_name(path: &Path) -> bool {
    path.extension().is_none() && path.components().count() == 1
}

/// 1 to 64 letters, digits, `-` and `_`.
fn is_secret_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn without_line_end(mut secret: Vec<u8>) -> Vec<u8> {
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    if secret.last() == Some(&b'\r') {
        secret.pop();
    }
    secret
}

fn text_variable(name: &str, set: impl FnOnce(String)) {
    if let Ok(value) = std::env::var(name)
        && !value.is_empty()
    {
        set(value);
    }
}

fn address_variable(name: &'static str, address: &mut SocketAddr) -> Result<(), ConfigError> {
    let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) else { return Ok(()) };
    *address = value.parse().map_err(|_| ConfigError::Variable { name, expected: "an address and port" })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn with_secrets(files: &[(&str, &[u8])]) -> (Config, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        std::fs::write(folder.path().join("outside"), b"not for feeds").unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join("secrets").join(name), content).unwrap();
        }
        let config = Config { secrets_dir: Some(folder.path().join("secrets")), ..Config::default() };
        (config, folder)
    }

    #[test]
    fn a_secret_is_a_file_without_its_last_line_end() {
        let (config, _folder) = with_secrets(&[("crm", b"a\nb\r\n"), ("empty", b"\n")]);
        assert_eq!(config.secret("crm").as_deref(), Some(b"a\nb".as_slice()));
        assert_eq!(config.secret("empty"), None);
        assert_eq!(config.secret("absent"), None);
        assert_eq!(Config::default().secret("crm"), None);
    }

    #[test]
    fn a_name_that_is_a_path_reaches_nothing() {
        let (config, folder) = with_secrets(&[("crm.key", b"x")]);
        let absolute = folder.path().join("outside");
        for name in ["../outside", absolute.to_str().unwrap(), "crm.key", "", ".", "a\0b", &"a".repeat(65)] {
            assert_eq!(config.secret(name), None, "{name:?}");
        }
    }
}
