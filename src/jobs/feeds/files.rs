//! Takes files that appear in a folder or below an object store's prefix, once each and however large.

use std::path::PathBuf;
use std::time::Duration;

use actix_web::web::Data;
use futures_util::FutureExt;
use tokio::sync::watch;

use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::drop_folder::{BucketKeys, DropFolder, Found};
use crate::adapters::store::{FeedFile, FileState};
use crate::app::App;
use crate::domain::{FilesFeed, SecretName, SourceDescription, TenantId, Timestamp};

/// Until `stopped`.
pub(super) async fn files(
    app: Data<App>,
    tenant: TenantId,
    description: SourceDescription,
    feed: FilesFeed,
    stopped: watch::Receiver<bool>,
) {
    let worker = FeedWorker::new(app, tenant, description.name.clone());
    let every = Duration::from_secs(feed.every_s.max(1));
    worker.repeat(every, stopped, || run(&worker, &description, &feed).boxed()).await;
}

/// Takes every file that lies there finished and wasn't taken yet, the oldest first.
///
/// A file that can't be taken doesn't keep the others; it is tried again with the next run.
async fn run(worker: &FeedWorker, description: &SourceDescription, feed: &FilesFeed) -> Result<(), FeedError> {
    let folder = open(worker, feed)?;
    let mut failed = None;
    for found in folder.list().await? {
        if found.is_unfinished() || !has_settled(&found, feed.settle_s) {
            continue;
        }
        let held = worker.app.store.feed_file(&worker.upkeep, &worker.tenant, &worker.source, &found.name).await?;
        let held = held.filter(|held| held.version == found.version);
        if held.as_ref().is_some_and(|held| held.state != FileState::Begun) {
            continue;
        }
        let slices = held.map_or(0, |held| held.slices);
        if let Err(error) = take(worker, description, &folder, &found, slices).await {
            tracing::warn!(source = %worker.source, %error, "a file can't be taken; it is tried again");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Whether nothing was added to it for a while: a sender that writes in place gives no other sign.
fn has_settled(found: &Found, settle_s: u64) -> bool {
    Timestamp::now().seconds_since(found.modified) >= i64::try_from(settle_s).unwrap_or(i64::MAX)
}

fn open(worker: &FeedWorker, feed: &FilesFeed) -> Result<DropFolder, FeedError> {
    let text = |name: &Option<SecretName>| -> Result<Option<String>, FeedError> {
        let Some(name) = name else { return Ok(None) };
        let secret = String::from_utf8(worker.secret(name)?).map_err(|_| FeedError::Secret(name.0.clone()))?;
        Ok(Some(secret.trim().to_owned()))
    };
    let keys = BucketKeys {
        access_key: text(&feed.access_key)?,
        secret_key: text(&feed.secret_key)?,
        endpoint: feed.endpoint.clone(),
        region: feed.region.clone(),
    };
    Ok(DropFolder::open(&feed.url, keys, &worker.app.config.file_roots)?)
}

/// Lands what hasn't landed of a file yet, and keeps how far it came after each slice.
async fn take(
    worker: &FeedWorker,
    description: &SourceDescription,
    folder: &DropFolder,
    found: &Found,
    landed: u64,
) -> Result<(), FeedError> {
    let work: PathBuf = worker.app.config.data_dir.clone();
    let readable = folder.fetch(found, &work).await?;
    let mut file =
        FeedFile { path: found.name.clone(), version: found.version.clone(), slices: 0, state: FileState::Begun };
    let mut opened = worker.app.take_file.open(description, &found.name, readable.path()).await?;
    if opened.is_too_large() {
        file.state = FileState::TooLarge;
        tracing::warn!(source = %worker.source, size = found.size, "a file is longer than a record may be");
        return worker.keep_file(&file).await;
    }
    while let Some(slice) = opened.next().await? {
        file.slices += 1;
        if file.slices > landed && !slice.is_empty() {
            worker.land(opened.format(), Some(found.name.clone()), slice).await?;
            worker.keep_file(&file).await?;
        }
    }
    file.state = FileState::Landed;
    worker.keep_file(&file).await
}

impl FeedWorker {
    async fn keep_file(&self, file: &FeedFile) -> Result<(), FeedError> {
        Ok(self.app.store.keep_feed_file(&self.upkeep, &self.tenant, &self.source, file).await?)
    }
}
