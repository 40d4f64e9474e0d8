//! What every feed that we run has at hand, and how its runs follow each other and are noted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::access::Upkeep;
use crate::adapters::sources::drop_folder::DropError;
use crate::adapters::sources::fhir_server::{Credentials, FhirError, FhirServer, Patience, Token};
use crate::adapters::sources::mllp::ListenError;
use crate::adapters::sources::smart_backend::{BackendSettings, SmartBackend};
use crate::adapters::store::{FeedRun, StoreError};
use crate::adapters::tls::TlsError;
use crate::app::App;
use crate::domain::{FhirCredentials, Format, SecretName, SourceId, TenantId, Timestamp};
use crate::flows::{IngestError, TakeFileError};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why a run ended early; what it landed and kept until then stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    #[error(transparent)]
    Server(#[from] FhirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Drop(#[from] DropError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    File(#[from] TakeFileError),
    #[error("the secret {0} is not there")]
    Secret(String),
    #[error("{0}")]
    Refused(&'static str),
}

impl FeedError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Server(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// One feed at work.
pub(super) struct FeedWorker {
    pub app: Data<App>,
    pub upkeep: Upkeep,
    pub tenant: TenantId,
    pub source: SourceId,
    landed: AtomicU64,
    /// Kept from run to run, with its connections and its token; made anew after a failure.
    server: Mutex<Option<Arc<FhirServer>>>,
}

impl FeedWorker {
    pub fn new(app: Data<App>, tenant: TenantId, source: SourceId) -> Self {
        Self { app, upkeep: Upkeep::begin(), tenant, source, landed: AtomicU64::new(0), server: Mutex::default() }
    }

    /// Lands bytes; they are on disk when this returns.
    pub async fn land(&self, format: Format, name: Option<String>, bytes: Vec<u8>) -> Result<(), FeedError> {
        let ingest = &self.app.ingest;
        ingest.accept_file(&self.upkeep, &self.tenant, &self.source, format, name, bytes).await?;
        self.has_landed();
        Ok(())
    }

    /// One delivery more has landed: those who read are told.
    pub fn has_landed(&self) {
        self.landed.fetch_add(1, Ordering::Relaxed);
        self.app.wake.send_replace(());
    }

    /// What was kept under that name.
    pub async fn state<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FeedError> {
        Ok(self.app.store.feed_state(&self.upkeep, &self.tenant, &self.source, name).await?)
    }

    /// Keeps what must be remembered; only after what it stands for has landed.
    pub async fn keep<T: Serialize + Sync>(&self, name: &str, state: &T) -> Result<(), FeedError> {
        Ok(self.app.store.keep_feed_state(&self.upkeep, &self.tenant, &self.source, name, state).await?)
    }

    /// The server that this feed asks, with our credentials for it, which may also be shown to these origins.
    pub fn server(
        &self,
        url: &str,
        credentials: &FhirCredentials,
        token_also_for: &[String],
        allow_http: bool,
    ) -> Result<Arc<FhirServer>, FeedError> {
        let mut held = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = held.as_ref() {
            return Ok(Arc::clone(server));
        }
        let credentials = self.credentials(credentials)?;
        let server = FhirServer::new(url, credentials, allow_http, Patience::default())?;
        let server = Arc::new(server.token_also_for(token_also_for)?);
        *held = Some(Arc::clone(&server));
        Ok(server)
    }

    fn credentials(&self, credentials: &FhirCredentials) -> Result<Credentials, FeedError> {
        Ok(match credentials {
            FhirCredentials::None => Credentials::None,
            FhirCredentials::Bearer { token } => {
                let token = String::from_utf8(self.secret(token)?).map_err(|_| FeedError::Secret(token.0.clone()))?;
                Credentials::Bearer(Token(token.trim().to_owned()))
            }
            FhirCredentials::Backend { client_id, token_url, private_key, key_id, scope } => {
                let settings = BackendSettings {
                    client_id: client_id.clone(),
                    token_url: token_url.clone(),
                    key_id: key_id.clone(),
                    scope: scope.clone(),
                };
                Credentials::Backend(Box::new(SmartBackend::new(settings, &self.secret(private_key)?)?))
            }
        })
    }

    pub fn secret(&self, name: &SecretName) -> Result<Vec<u8>, FeedError> {
        self.app.config.secret(&name.0).ok_or_else(|| FeedError::Secret(name.0.clone()))
    }

    /// Runs again and again until `stopped`: after `every` when all went well, sooner and less and less soon when not.
    ///
    /// A run that is stopped midway has kept how far it came.
    pub async fn repeat<'a>(
        &self,
        every: Duration,
        mut stopped: watch::Receiver<bool>,
        run: impl Fn() -> BoxFuture<'a, Result<(), FeedError>>,
    ) {
        let mut failures = 0;
        let mut last_error = None;
        while !*stopped.borrow() {
            let started_at = Timestamp::now();
            self.landed.store(0, Ordering::Relaxed);
            self.note(started_at, None, last_error.clone(), failures).await;
            let result = tokio::select! {
                result = run() => result,
                _ = stopped.changed() => return,
            };
            let pause = match &result {
                Ok(()) => {
                    (failures, last_error) = (0, None);
                    every.mul_f64(0.95 + fastrand::f64() / 10.0)
                }
                Err(error) => {
                    failures += 1;
                    self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
                    last_error = Some(error.to_string());
                    tracing::warn!(source = %self.source, %error, failures, "a feed's run failed and is tried again");
                    pause_after(failures, error, every)
                }
            };
            self.note(started_at, Some(Timestamp::now()), last_error.clone(), failures).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => return,
            }
        }
    }

    pub async fn note(&self, started_at: Timestamp, ended_at: Option<Timestamp>, error: Option<String>, failures: u64) {
        let landed = self.landed.load(Ordering::Relaxed);
        let run = FeedRun { source: self.source.clone(), started_at, ended_at, landed, error, failures };
        if let Err(error) = self.app.store.note_feed_run(&self.upkeep, &self.tenant, &run).await {
            tracing::error!(source = %self.source, %error, "how a feed's run went can't be noted");
        }
    }
}

/// Doubled with each failure in a row, never longer than the feed's own rhythm asks, never shorter than the server does.
fn pause_after(failures: u64, error: &FeedError, every: Duration) -> Duration {
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    let longest = every.clamp(FIRST_PAUSE, LONGEST_PAUSE);
    let patience = Patience { attempts: u32::MAX, first: FIRST_PAUSE, longest };
    patience.pause(failures).max(error.retry_after().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FeedError, FhirError, pause_after};

    #[test]
    fn failures_make_pauses_longer_and_the_server_has_the_last_word() {
        let day = Duration::from_secs(86_400);
        let down = FeedError::Server(FhirError::Status(500));
        assert!(pause_after(1, &down, day) <= Duration::from_secs(1));
        assert!(pause_after(6, &down, day) >= Duration::from_secs(16));
        assert!(pause_after(99, &down, day) <= Duration::from_secs(600));
        assert!(pause_after(99, &down, Duration::from_secs(5)) <= Duration::from_secs(5));
        let busy = FeedError::Server(FhirError::Busy(Duration::from_secs(3_000)));
        assert_eq!(pause_after(1, &busy, day), Duration::from_secs(3_000));
    }
}
