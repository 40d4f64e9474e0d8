//! Wires configuration, adapters and flows together, once, at start.

mod audit;
mod origins;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

use crate::access::{
    DevelopmentKey, Introspection, IssuerSettings, KeySource, Profile, SettingsError, SigningAlgorithm, TenantSource,
    Verifier,
};
use crate::adapters::index::{Index, IndexError, IndexSettings};
use crate::adapters::inference::{CrossEncoder, Embedder, Generator};
use crate::adapters::issuers::{IntrospectionEndpoint, JwksFetcher};
use crate::adapters::store::{AuditSettings, Store, StoreError};
use crate::adapters::tls::{self, TlsError};
use crate::config::{AccessConfig, ClientConfig, Config, HttpConfig, IssuerConfig, SourceConfig};
use crate::domain::{Feed, Kind, Mapping, SourceDescription, SourceId, TenantId, Timestamp, mapping};
use crate::flows::{
    AnswerFlow, AuditTrailFlow, ContextFlow, CountFlow, DiscloseFlow, EmbeddingPool, EraseFlow, FreshnessFlow,
    IndexChangesFlow, IngestFlow, IngestLimits, NotificationFlow, OriginalFlow, PolicyFlow, ReceiveMessageFlow,
    ReindexFlow, ReplayFlow, RetrieveFlow, SimilarFlow, TakeFileFlow, VECTORS_REVISION,
};
use crate::stages::deidentify::Secret;
use crate::stages::{chunk, ground};
use crate::telemetry::Metrics;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("an issuer is not usable")]
    Issuer(#[from] SettingsError),
    #[error("the key fetcher can't be made: {0}")]
    Fetcher(&'static str),
    #[error("the development key file can't be read")]
    DevelopmentKey(#[source] std::io::Error),
    #[error("TLS can't be spoken")]
    Tls(#[from] TlsError),
    #[error("the embedding threads can't be started")]
    Threads(#[source] std::io::Error),
    #[error("the configuration is not usable: {0}")]
    Configuration(String),
}

/// An issuer's word on a token is at most so old.
const LONGEST_KEPT_S: u64 = 3_600;

/// The built flows and the token verifier, shared by all requests and jobs.
pub struct App {
    pub config: Config,
    /// What the product's port speaks TLS by, if it does.
    pub tls: Option<Arc<ServerConfig>>,
    pub verifier: Verifier,
    pub policy: PolicyFlow,
    pub store: Store,
    pub index: Arc<Index>,
    pub metrics: Arc<Metrics>,
    pub ingest: IngestFlow,
    pub notifications: NotificationFlow,
    pub receive_message: ReceiveMessageFlow,
    pub take_file: TakeFileFlow,
    pub indexing: Arc<IndexChangesFlow>,
    pub reindex: ReindexFlow,
    pub replay: ReplayFlow,
    pub erase: EraseFlow,
    pub retrieve: RetrieveFlow,
    pub disclose: DiscloseFlow,
    pub answer: AnswerFlow,
    pub context: ContextFlow,
    pub count: CountFlow,
    pub similar: SimilarFlow,
    pub originals: OriginalFlow,
    pub freshness: FreshnessFlow,
    pub audit_trail: AuditTrailFlow,
    /// Rung when there may be work for the jobs; every loop hears it, also one that is busy just then.
    pub wake: watch::Sender<()>,
}

/// The models that a server works with.
pub struct Models {
    pub embedder: Embedder,
    /// Orders the best hits of hybrid searches again.
    pub reranker: Option<CrossEncoder>,
}

impl From<Embedder> for Models {
    fn from(embedder: Embedder) -> Self {
        Self { embedder, reranker: None }
    }
}

/// How the configuration wants the audit trail kept.
pub fn audit_settings(config: &AccessConfig) -> AuditSettings<'_> {
    AuditSettings { key_file: config.audit_key_file.as_deref(), reads_wait: config.audit_reads_wait }
}

impl App {
    pub async fn start(config: Config, models: impl Into<Models>) -> Result<Self, StartError> {
        Self::start_with(config, models, None).await
    }

    /// With the language model that was loaded, where the configuration asks for a local one.
    pub async fn start_with(
        config: Config,
        models: impl Into<Models>,
        local: Option<Arc<dyn Generator>>,
    ) -> Result<Self, StartError> {
        let Models { embedder, reranker } = models.into();
        let tls = tls(&config.http)?;
        origins::check(&config.http.allowed_origins)?;
        let secret = deidentify_secret(&config)?;
        let writer = writer::writer(&config, local, secret.clone())?;
        let store = Store::open_with(&config.store_path(), &audit_settings(&config.access)).await?;
        declare_sources(&store, &config).await?;
        let newest_change = store.newest_change()?;
        let settings = index_settings(&config, &embedder);
        let index = Arc::new(Index::open(&config.index_path(), settings, newest_change)?);
        let verifier = verifier(&config)?;
        let metrics = Arc::new(Metrics::default());
        let embedding = Arc::new(EmbeddingPool::start(embedder, metrics.clone()).map_err(StartError::Threads)?);
        let retrieve = RetrieveFlow::new(store.clone(), index.clone(), embedding.clone()).with_reranker(reranker);
        let indexing = Arc::new(IndexChangesFlow::new(
            store.clone(),
            embedding.clone(),
            index.clone(),
            metrics.clone(),
            config.index.batch,
        ));
        let answer =
            AnswerFlow::new(retrieve.clone(), embedding, store.clone(), answer_settings(&config)).with_writer(writer);
        let ingest = IngestFlow::with_limits(store.clone(), metrics.clone(), ingest_limits(&config));
        let disclose = DiscloseFlow::new(store.clone(), retrieve.clone(), secret);
        let policy = policy(&store, &config)?;
        Ok(Self {
            verifier,
            policy,
            notifications: NotificationFlow::new(store.clone(), ingest.clone()),
            receive_message: ReceiveMessageFlow::new(ingest.clone()),
            take_file: TakeFileFlow::new(config.max_body_bytes),
            ingest,
            reindex: ReindexFlow::new(indexing.clone()),
            erase: EraseFlow::new(indexing.clone()),
            indexing,
            replay: ReplayFlow::new(store.clone()),
            retrieve,
            disclose,
            answer,
            context: ContextFlow::new(store.clone()),
            count: CountFlow::new(store.clone(), index.clone()),
            similar: SimilarFlow::new(store.clone(), index.clone()),
            originals: OriginalFlow::new(store.clone()),
            freshness: FreshnessFlow::new(store.clone(), index.clone(), metrics.clone()),
            audit_trail: AuditTrailFlow::new(store.clone()),
            wake: watch::Sender::new(()),
            tls,
            config,
            store,
            index,
            metrics,
        })
    }
}

/// A port that was meant to speak TLS never speaks without.
fn tls(config: &HttpConfig) -> Result<Option<Arc<ServerConfig>>, StartError> {
    match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(private_key)) => Ok(Some(tls::renewed_config(certificate, private_key)?)),
        (None, None) => Ok(None),
        _ => Err(StartError::Configuration("http: TLS needs certificate and private_key".to_owned())),
    }
}

/// Who is bound by what, beside their tokens.
fn policy(store: &Store, config: &Config) -> Result<PolicyFlow, StartError> {
    let unknown =
        |name: &String| StartError::Configuration(format!("access.care_team_sources: {name} is no source's name"));
    let teams = config.access.care_team_sources.iter();
    let teams: BTreeSet<SourceId> =
        teams.map(|name| SourceId::parse(name).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()?;
    // Where teams are lists, who is in none reaches nobody.
    let needs_roster = config.access.needs_roster || !teams.is_empty();
    Ok(PolicyFlow::new(store.clone(), needs_roster, profiles(config)?).with_teams_of(teams))
}

/// What each client may show. A word that isn't known would cap other than was meant, so the server doesn't start.
fn profiles(config: &Config) -> Result<BTreeMap<String, Arc<Profile>>, StartError> {
    let read = |client: &ClientConfig| Ok((client.id.clone(), Arc::new(profile(client)?)));
    config.clients.iter().map(read).collect()
}

fn profile(client: &ClientConfig) -> Result<Profile, StartError> {
    let kind = |name: &String| {
        let unknown = || StartError::Configuration(format!("client {}: no kind is called {name}", client.id));
        Kind::parse(name).ok_or_else(unknown)
    };
    let days_ago = |days: u32| Timestamp::now().plus(SignedDuration::from_hours(-24 * i64::from(days)));
    Ok(Profile {
        kinds: client.kinds.as_ref().map(|kinds| kinds.iter().map(kind).collect()).transpose()?,
        fields: client.fields.as_ref().map(|fields| fields.iter().cloned().collect()),
        not_before: client.days.map(days_ago),
        purposes: client.purposes.as_ref().map(|purposes| purposes.iter().cloned().collect()),
        deidentify: client.deidentify,
    })
}

/// The secret that is named; without one, no client may be set to `deidentify`.
fn deidentify_secret(config: &Config) -> Result<Option<Secret>, StartError> {
    let unusable = |why: String| StartError::Configuration(format!("access.deidentify_key: {why}"));
    let Some(name) = &config.access.deidentify_key else {
        return match config.clients.iter().find(|client| client.deidentify) {
            Some(client) => Err(unusable(format!("client {} needs it to be de-identified", client.id))),
            None => Ok(None),
        };
    };
    let bytes = config.secret(name).ok_or_else(|| unusable(format!("the secret {name} is nowhere")))?;
    let short = || unusable(format!("the secret {name} has fewer than {} bytes", Secret::MIN_BYTES));
    Secret::new(&bytes).map(Some).ok_or_else(short)
}

fn ingest_limits(config: &Config) -> IngestLimits {
    IngestLimits {
        max_inflight_bytes: config.max_inflight_bytes,
        max_backlog_bytes: config.max_backlog_bytes,
        ..IngestLimits::default()
    }
}

fn index_settings(config: &Config, embedder: &Embedder) -> IndexSettings {
    IndexSettings {
        dimension: embedder.dimension(),
        exact_up_to: config.index.exact_up_to,
        graph_from: config.index.graph_from,
        recipe: vec![chunk::REVISION.to_owned(), VECTORS_REVISION.to_owned(), embedder.revision().to_owned()],
    }
}

fn answer_settings(config: &Config) -> ground::Settings {
    ground::Settings {
        min_evidence: config.answer.min_evidence,
        max_sentences: config.answer.max_sentences,
        withhold_stale: config.answer.withhold_stale,
        ..ground::Settings::default()
    }
}

async fn declare_sources(store: &Store, config: &Config) -> Result<(), StartError> {
    let tenant = TenantId::new(&*config.tenant);
    for source in &config.sources {
        store.declare_source(&tenant, &describe_source(source)?).await?;
    }
    Ok(())
}

/// A source as the configuration declares it; reads its mapping file.
pub fn describe_source(source: &SourceConfig) -> Result<SourceDescription, StartError> {
    let name = SourceId::parse(&source.name).ok_or_else(|| {
        StartError::Configuration(format!(
            "source name {} has other than lower-case letters, digits, dashes",
            source.name
        ))
    })?;
    Ok(SourceDescription {
        name,
        patients: source.patients.clone(),
        warn_after_s: source.warn_after_s,
        error_after_s: source.error_after_s,
        mapping: source.mapping.as_deref().map(read_mapping).transpose()?,
        feed: source.feed.as_ref().map(|feed| read_feed(&source.name, feed)).transpose()?.unwrap_or_default(),
    })
}

fn read_feed(source: &str, feed: &toml::Table) -> Result<Feed, StartError> {
    let unusable = |error: toml::de::Error| StartError::Configuration(format!("feed of {source}: {}", error.message()));
    feed.clone().try_into().map_err(unusable)
}

/// The shipped mapping of that name, else the one that the file (TOML) holds.
pub fn read_mapping(name: &Path) -> Result<Mapping, StartError> {
    if let Some(mapping) = name.to_str().and_then(shipped_mapping) {
        return Ok(mapping);
    }
    let unusable = |why: String| StartError::Configuration(format!("mapping {}: {why}", name.display()));
    let text = std::fs::read_to_string(name).map_err(|error| unusable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| unusable(error.to_string()))
}

/// A mapping that comes with the program.
pub fn shipped_mapping(name: &str) -> Option<Mapping> {
    let text = mapping::shipped(name)?;
    Some(toml::from_str(text).expect("a test reads every shipped mapping"))
}

/// No issuer and no development key: the verifier refuses every token.
fn verifier(config: &Config) -> Result<Verifier, StartError> {
    let mut issuers =
        config.issuers.iter().map(|issuer| self::issuer(config, issuer)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &config.development_key_file {
        issuers.push(IssuerSettings::development(read_development_key(path)?));
    }
    let fetcher = JwksFetcher::new().map_err(|failed| StartError::Fetcher(failed.reason))?;
    Ok(Verifier::new(issuers, Arc::new(fetcher))?)
}

pub fn read_development_key(path: &Path) -> Result<DevelopmentKey, StartError> {
    let secret = std::fs::read(path).map_err(StartError::DevelopmentKey)?;
    Ok(DevelopmentKey::new(&secret)?)
}

fn issuer(all: &Config, config: &IssuerConfig) -> Result<IssuerSettings, StartError> {
    let unusable = |why: &str| StartError::Configuration(format!("issuer {}: {why}", config.issuer));
    let introspection = introspection(all, config).map_err(unusable)?;
    let tenant = match (&config.tenant, &config.tenant_claim) {
        (Some(tenant), None) => TenantSource::Fixed(TenantId::new(&**tenant)),
        (None, Some(claim)) => TenantSource::Claim(claim.clone()),
        _ => return Err(unusable("set tenant or tenant_claim")),
    };
    let keys = match (&config.jwks_file, &config.jwks_url, &config.discovery_url) {
        (Some(file), None, None) => KeySource::JwksFile(file.clone()),
        (None, Some(url), None) => KeySource::JwksUrl(url.clone()),
        (None, None, Some(url)) => KeySource::Discovery(url.clone()),
        (None, None, None) if introspection.is_some() => KeySource::Introspection,
        _ => return Err(unusable("set jwks_file, jwks_url or discovery_url")),
    };
    let mut settings = IssuerSettings::new(&config.issuer, &config.audience, tenant, keys);
    if !config.algorithms.is_empty() {
        let parse = |name: &String| name.parse::<SigningAlgorithm>();
        settings.algorithms = config.algorithms.iter().map(parse).collect::<Result<_, _>>()?;
    }
    if let Some(claim) = &config.patient_claim {
        settings.patient_claim.clone_from(claim);
    }
    settings.clearance_claim.clone_from(&config.clearance_claim);
    settings.max_lifetime_s = config.max_lifetime_s;
    settings.introspection = introspection;
    Ok(settings)
}

/// Errors: what is half said. A token that was meant to be asked about is never taken without.
fn introspection(all: &Config, issuer: &IssuerConfig) -> Result<Option<Introspection>, &'static str> {
    let Some(url) = &issuer.introspection_url else {
        return match issuer.introspect || issuer.opaque_tokens {
            true => Err("introspect and opaque_tokens need introspection_url"),
            false => Ok(None),
        };
    };
    if !(issuer.introspect || issuer.opaque_tokens) {
        return Err("introspection_url needs introspect or opaque_tokens");
    }
    if issuer.introspection_keep_s > LONGEST_KEPT_S {
        return Err("introspection_keep_s is at most an hour");
    }
    let (Some(client), Some(secret)) = (&issuer.introspection_client, &issuer.introspection_secret) else {
        return Err("introspection needs introspection_client and introspection_secret");
    };
    let secret = all.secret(secret).ok_or("the secret that introspection_secret names is not there")?;
    let endpoint = IntrospectionEndpoint::new(url, client, secret).map_err(|failed| failed.reason)?;
    Ok(Some(Introspection {
        endpoint: Arc::new(endpoint),
        keep: Duration::from_secs(issuer.introspection_keep_s),
        takes_opaque: issuer.opaque_tokens,
        asks_about_all: issuer.introspect,
    }))
}
