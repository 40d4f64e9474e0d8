//! Listens for HL7 messages, as long as the source is declared.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use serde::Serialize;
use tokio::sync::watch;

use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::mllp::{Arrived, Limits, Listener};
use crate::adapters::tls::TlsFiles;
use crate::app::App;
use crate::domain::{MllpFeed, SecretName, SourceDescription, TenantId, Timestamp};

/// A feed that can't listen tries again after this long.
const AGAIN: Duration = Duration::from_secs(5);
const MESSAGE_TIME: Duration = Duration::from_secs(60);
const UNANSWERED_BYTES: usize = 128 * 1024 * 1024;

/// Where a listener is to be found, as it is kept for people.
#[derive(Serialize)]
struct Listening {
    address: String,
    tls: bool,
}

/// Until `stopped`.
pub(super) async fn listen(
    app: Data<App>,
    tenant: TenantId,
    description: SourceDescription,
    feed: MllpFeed,
    mut stopped: watch::Receiver<bool>,
) {
    let worker = Arc::new(FeedWorker::new(app, tenant, description.name));
    let mut failures = 0;
    while !*stopped.borrow() {
        let started_at = Timestamp::now();
        worker.note(started_at, None, None, failures).await;
        // Returns when stopped: what was being answered then has been.
        let Err(error) = serve(&worker, &feed, stopped.clone()).await else { return };
        failures += 1;
        tracing::warn!(source = %worker.source, %error, failures, "listening failed and is tried again");
        worker.note(started_at, Some(Timestamp::now()), Some(error.to_string()), failures).await;
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stopped.changed() => {}
        }
    }
}

async fn serve(worker: &Arc<FeedWorker>, feed: &MllpFeed, stopped: watch::Receiver<bool>) -> Result<(), FeedError> {
    let tls = tls(worker, feed)?.map(|files| files.server_config()).transpose()?;
    let is_secured = tls.is_some();
    let limits = Limits {
        connections: feed.max_connections.max(1),
        message_bytes: feed.max_message_bytes,
        unanswered_bytes: UNANSWERED_BYTES.max(feed.max_message_bytes),
        message_time: MESSAGE_TIME,
    };
    let listener = Listener::bind(&feed.listen, tls, limits).await?;
    let address = listener.address().map_err(|_| FeedError::Refused("the address can't be told"))?.to_string();
    tracing::info!(source = %worker.source, %address, tls = is_secured, "listening for HL7 messages");
    worker.keep("listener", &Listening { address, tls: is_secured }).await?;
    let (worker, takes_tests) = (worker.clone(), feed.takes_tests);
    let answer = move |arrived: Arrived| {
        let worker = worker.clone();
        async move { worker.message(takes_tests, arrived).await }
    };
    listener.run(answer, stopped).await;
    Ok(())
}

impl FeedWorker {
    async fn message(&self, takes_tests: bool, arrived: Arrived) -> Option<Vec<Vec<u8>>> {
        let received =
            self.app.receive_message.run(&self.upkeep, &self.tenant, &self.source, takes_tests, arrived).await;
        if received.is_landed {
            self.has_landed();
        }
        Some(received.answers)
    }
}

fn tls(worker: &FeedWorker, feed: &MllpFeed) -> Result<Option<TlsFiles>, FeedError> {
    let named = |name: &Option<SecretName>| name.as_ref().map(|name| worker.secret(name)).transpose();
    let client_authority = named(&feed.client_authority)?;
    match (named(&feed.certificate)?, named(&feed.private_key)?) {
        (Some(certificate), Some(private_key)) => Ok(Some(TlsFiles { certificate, private_key, client_authority })),
        (None, None) if client_authority.is_none() => Ok(None),
        _ => Err(FeedError::Refused("TLS needs a certificate and a private key")),
    }
}
