//! Asks a FHIR server, again and again, for what changed in each type.

use std::time::Duration;

use actix_web::web::Data;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::search::Search;
use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::fhir_server::FhirServer;
use crate::app::App;
use crate::domain::{PollFeed, SourceDescription, TenantId};

/// Until `stopped`.
pub(super) async fn poll(
    app: Data<App>,
    tenant: TenantId,
    description: SourceDescription,
    feed: PollFeed,
    stopped: watch::Receiver<bool>,
) {
    let worker = FeedWorker::new(app, tenant, description.name);
    let every = Duration::from_secs(feed.every_s.max(1));
    worker.repeat(every, stopped, || run(&worker, &feed).boxed()).await;
}

/// Every type once. One that fails doesn't keep the others; its failure is the run's.
async fn run(worker: &FeedWorker, feed: &PollFeed) -> Result<(), FeedError> {
    if feed.types.is_empty() {
        return Err(FeedError::Refused("no types are named"));
    }
    let server = worker.server(&feed.url, &feed.credentials, &[], feed.allow_http)?;
    let searches: Vec<Search> = feed.types.iter().map(|name| search(worker, &server, feed, name)).collect();
    let runs: Vec<_> = searches.iter().map(|search| search.run().boxed()).collect();
    let results: Vec<Result<(), FeedError>> =
        futures_util::stream::iter(runs).buffer_unordered(feed.concurrency.max(1)).collect().await;
    results.into_iter().collect()
}

fn search<'a>(
    worker: &'a FeedWorker,
    server: &'a FhirServer,
    feed: &'a PollFeed,
    resource_type: &'a str,
) -> Search<'a> {
    Search {
        worker,
        server,
        resource_type,
        name: format!("search/{resource_type}"),
        page_size: feed.page_size.max(1),
        overlap: Duration::from_secs(feed.overlap_s),
        deletions: feed.deletions,
        complete_until: None,
    }
}
