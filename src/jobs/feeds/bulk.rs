//! Takes in a FHIR server's bulk export: begun, waited for, fetched file by file, and taken up where it was broken off.
//!
//! What is known of the export under way is kept: where it is asked after, and how far each file has landed. Only
//! when all of it has landed does the next export begin at its time. An export that the server lost midway is begun
//! again; since records may have been deleted between the two, the one after goes back to the time of the first.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_RANGE};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::worker::{FeedError, FeedWorker};
use crate::adapters::sources::bulk_export::{ExportFile, ExportPart, Manifest, Slicer};
use crate::adapters::sources::fhir_server::{Answer, FhirError, FhirServer, next_part, retry_after};
use crate::app::App;
use crate::domain::{BulkFeed, Format, SourceDescription, TenantId, Timestamp};

const STATE: &str = "export";
const SLICE_BYTES: usize = 1024 * 1024;
/// In one run; more are only needed when the server loses one after the other.
const MOST_EXPORTS: usize = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The time of the last export that landed whole.
    since: Option<Timestamp>,
    /// The earliest time of the exports that landed in part and were lost.
    lost_since: Option<Timestamp>,
    running: Option<Running>,
    /// Exports that landed whole.
    completed: u64,
}

/// An export that the server was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Running {
    status_url: String,
    manifest: Option<Manifest>,
}

/// Until `stopped`.
pub(super) async fn bulk(
    app: Data<App>,
    tenant: TenantId,
    description: SourceDescription,
    feed: BulkFeed,
    stopped: watch::Receiver<bool>,
) {
    let worker = FeedWorker::new(app, tenant, description.name);
    let every = Duration::from_secs(feed.every_s.max(1));
    worker.repeat(every, stopped, || Export::run(&worker, &feed).boxed()).await;
}

/// How a file's fetching ended.
enum Fetched {
    Whole,
    /// The server doesn't have it any more.
    Lost,
}

struct Export<'a> {
    worker: &'a FeedWorker,
    feed: &'a BulkFeed,
    server: Arc<FhirServer>,
    state: Mutex<State>,
}

impl<'a> Export<'a> {
    /// One export to its end; after a lost one a second, and a third for what was deleted meanwhile.
    async fn run(worker: &'a FeedWorker, feed: &'a BulkFeed) -> Result<(), FeedError> {
        let server = worker.server(&feed.url, &feed.credentials, &feed.token_also_for, feed.allow_http)?;
        let state = Mutex::new(worker.state(STATE).await?.unwrap_or_default());
        let export = Self { worker, feed, server, state };
        for _ in 0..MOST_EXPORTS {
            if export.once().await? {
                return Ok(());
            }
        }
        Err(FeedError::Refused("the server loses its exports before they are fetched"))
    }

    /// Whether nothing is left to ask for.
    async fn once(&self) -> Result<bool, FeedError> {
        let running = self.state.lock().await.running.clone();
        let running = match running {
            Some(running) => running,
            None => self.begin().await?,
        };
        let manifest = match running.manifest {
            Some(manifest) => manifest,
            None => match self.wait_for(&running.status_url).await? {
                Some(manifest) => manifest,
                None => return Ok(false),
            },
        };
        let work = manifest.files.iter().enumerate().filter(|(_, file)| !file.is_done);
        let fetches: Vec<_> =
            work.map(|(number, file)| self.fetch(number, file.clone(), manifest.requires_token).boxed()).collect();
        let fetches = futures_util::stream::iter(fetches).buffer_unordered(self.feed.concurrency.max(1));
        let fetched: Vec<Fetched> = fetches.try_collect().await?;
        if fetched.iter().any(|fetched| matches!(fetched, Fetched::Lost)) {
            self.give_up().await?;
            return Ok(false);
        }
        self.complete(&running.status_url).await
    }

    /// Asks for an export since the last one that landed whole.
    async fn begin(&self) -> Result<Running, FeedError> {
        let since = self.state.lock().await.since.map(|since| since.to_string());
        let types = self.feed.types.join(",");
        let level = self.feed.level.trim_matches('/');
        let path = if level.is_empty() { "$export".to_owned() } else { format!("{level}/$export") };
        let mut parameters = vec![("_outputFormat", "application/fhir+ndjson")];
        parameters.extend((!types.is_empty()).then_some(("_type", types.as_str())));
        parameters.extend(since.as_deref().map(|since| ("_since", since)));
        let answer = self.server.kick_off(&self.server.address(&path, &parameters)?).await?;
        if answer.status != 202 {
            return Err(FhirError::Status(answer.status).into());
        }
        let location = answer.header(&CONTENT_LOCATION).ok_or(FhirError::Unreadable("no Content-Location"))?;
        let status_url = self.server.link(location)?.url.to_string();
        let running = Running { status_url, manifest: None };
        self.change(|state| state.running = Some(running.clone())).await?;
        tracing::info!(source = %self.worker.source, "bulk export begun");
        Ok(running)
    }

    /// Asks until the export is ready; `None` when the server has lost it or gave up on it.
    async fn wait_for(&self, status_url: &str) -> Result<Option<Manifest>, FeedError> {
        let link = self.server.link(status_url)?;
        let (mut failures, mut wait) = (0, FIRST_WAIT);
        loop {
            let answer = match self.server.status_of(&link).await {
                Ok(answer) => answer,
                Err(error @ FhirError::Unreachable(_)) => {
                    failures = self.patiently(failures, error).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match answer.status {
                200 => {
                    let manifest = Manifest::read(&answer.bytes)?;
                    self.change(|state| {
                        state.running.iter_mut().for_each(|running| running.manifest = Some(manifest.clone()));
                    })
                    .await?;
                    return Ok(Some(manifest));
                }
                202 | 429 => {
                    failures = 0;
                    let asked = retry_after(&answer.headers);
                    tokio::time::sleep(asked.unwrap_or(wait).clamp(Duration::from_millis(100), LONGEST_WAIT)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                404 | 410 => {
                    self.give_up().await?;
                    return Ok(None);
                }
                500 | 502 | 503 | 504 if failures < self.server.patience().attempts && !is_final(&answer) => {
                    failures = self.patiently(failures, FhirError::Status(answer.status)).await?;
                }
                status => {
                    // The export failed, not the worker: the next run begins another.
                    self.give_up().await?;
                    return Err(FhirError::Status(status).into());
                }
            }
        }
    }

    async fn patiently(&self, failures: u32, error: FhirError) -> Result<u32, FeedError> {
        if failures + 1 >= self.server.patience().attempts {
            return Err(error.into());
        }
        tokio::time::sleep(self.server.patience().pause(failures + 1)).await;
        Ok(failures + 1)
    }

    /// One file to its end, taken up where it was broken off as long as that gets anywhere.
    async fn fetch(&self, number: usize, mut file: ExportFile, requires_token: bool) -> Result<Fetched, FeedError> {
        let mut failures = 0;
        loop {
            let before = file.landed;
            let error = match self.stream(number, &mut file, requires_token).await {
                Ok(fetched) => return Ok(fetched),
                Err(FeedError::Server(error @ (FhirError::Unreachable(_) | FhirError::Unreadable(_)))) => error,
                Err(FeedError::Server(FhirError::Status(status @ (408 | 429 | 500..=599)))) => {
                    FhirError::Status(status)
                }
                Err(error) => return Err(error),
            };
            failures = if file.landed > before { 0 } else { failures };
            failures = self.patiently(failures, error).await?;
        }
    }

    async fn stream(&self, number: usize, file: &mut ExportFile, requires_token: bool) -> Result<Fetched, FeedError> {
        let link = self.server.file(&file.url, requires_token)?;
        let from = if file.is_archive { 0 } else { file.landed };
        let mut response = self.server.open_file(&link, from).await?;
        let at = match response.status().as_u16() {
            200 => 0,
            206 if begins_at(&response, from) => from,
            // Everything had landed; only the end of the file had not been seen.
            416 if from > 0 && ends_at(&response, from) => return self.file_done(number, file).await,
            404 | 410 => return Ok(Fetched::Lost),
            // An address that is its own key has run out.
            403 if !link.with_token => return Ok(Fetched::Lost),
            206 | 416 => {
                file.is_archive = true;
                return Err(FhirError::Unreadable("another range than asked for").into());
            }
            status => {
                if let Some(pause) = retry_after(response.headers()) {
                    tokio::time::sleep(pause.min(LONGEST_WAIT)).await;
                }
                return Err(FhirError::Status(status).into());
            }
        };
        let encoding = response.headers().get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let is_encoded = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let mut slicer = Slicer::new(at, file.landed, SLICE_BYTES, self.worker.app.config.max_body_bytes);
        let mut slices = Vec::new();
        while let Some(part) = next_part(&mut response).await? {
            slicer.push(&part, &mut slices)?;
            file.is_archive |= slicer.is_compressed() && !is_encoded;
            for slice in slices.drain(..) {
                self.land(number, file, slice.bytes, slice.lines, slice.end).await?;
            }
        }
        slicer.finish(&mut slices)?;
        for slice in slices {
            self.land(number, file, slice.bytes, slice.lines, slice.end).await?;
        }
        self.file_done(number, file).await
    }

    async fn land(
        &self,
        number: usize,
        file: &mut ExportFile,
        bytes: Vec<u8>,
        lines: u64,
        end: u64,
    ) -> Result<(), FeedError> {
        if lines > 0 {
            let name = format!("{}-{number}-{}", file.part.as_str(), file.landed);
            self.worker.land(Format::FhirNdjson, Some(name), bytes).await?;
        }
        file.landed = end;
        file.lines += lines;
        self.keep_file(number, file).await
    }

    async fn file_done(&self, number: usize, file: &mut ExportFile) -> Result<Fetched, FeedError> {
        file.is_done = true;
        if file.part == ExportPart::Error && file.lines > 0 {
            let (source, lines) = (&self.worker.source, file.lines);
            tracing::warn!(%source, lines, "the server reports what it could not export");
        }
        self.keep_file(number, file).await?;
        Ok(Fetched::Whole)
    }

    async fn keep_file(&self, number: usize, file: &ExportFile) -> Result<(), FeedError> {
        self.change(|state| {
            let manifest = state.running.as_mut().and_then(|running| running.manifest.as_mut());
            let kept = manifest.and_then(|manifest| manifest.files.get_mut(number));
            kept.into_iter().for_each(|kept| kept.clone_from(file));
        })
        .await
    }

    /// Everything has landed: the next export begins here. The server may forget this one.
    /// Returns whether nothing is left to ask for.
    async fn complete(&self, status_url: &str) -> Result<bool, FeedError> {
        let mut had_lost = false;
        self.change(|state| {
            let Some(manifest) = state.running.take().and_then(|running| running.manifest) else { return };
            let lost = state.lost_since.take();
            had_lost = lost.is_some();
            state.since = Some(lost.unwrap_or(manifest.transaction_time).min(manifest.transaction_time));
            state.completed += 1;
        })
        .await?;
        self.discard(status_url).await;
        tracing::info!(source = %self.worker.source, "bulk export landed");
        Ok(!had_lost)
    }

    /// Lets go of an export that can't be fetched any more.
    async fn give_up(&self) -> Result<(), FeedError> {
        tracing::warn!(source = %self.worker.source, "an export was lost by the server and is begun again");
        self.change(|state| {
            let lost = state.running.take().and_then(|running| running.manifest);
            let in_part = lost.filter(|manifest| manifest.files.iter().any(|file| file.landed > 0));
            if let Some(manifest) = in_part {
                let earliest =
                    state.lost_since.map_or(manifest.transaction_time, |lost| lost.min(manifest.transaction_time));
                state.lost_since = Some(earliest);
            }
        })
        .await
    }

    async fn discard(&self, status_url: &str) {
        let Ok(link) = self.server.link(status_url) else { return };
        if let Err(error) = self.server.discard(&link).await {
            tracing::info!(source = %self.worker.source, %error, "the server keeps an export that isn't needed");
        }
    }

    /// Changes what is known and keeps it, one change after the other.
    async fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), FeedError> {
        let mut state = self.state.lock().await;
        change(&mut state);
        self.worker.keep(STATE, &*state).await
    }
}

/// Whether the server says that the export itself failed for good.
fn is_final(answer: &Answer) -> bool {
    let Ok(outcome) = serde_json::from_slice::<serde_json::Value>(&answer.bytes) else { return false };
    let issues = outcome.get("issue").and_then(|issue| issue.as_array()).into_iter().flatten();
    let mut codes = issues.filter_map(|issue| issue.get("code").and_then(|code| code.as_str())).peekable();
    codes.peek().is_some() && !codes.any(|code| matches!(code, "transient" | "throttled" | "timeout" | "lock-error"))
}

fn content_range(response: &reqwest::Response) -> Option<&str> {
    response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")
}

fn begins_at(response: &reqwest::Response, from: u64) -> bool {
    content_range(response).is_some_and(|range| range.starts_with(&format!("{from}-")))
}

fn ends_at(response: &reqwest::Response, from: u64) -> bool {
    content_range(response).is_some_and(|range| range == format!("*/{from}"))
}
