//! The loops, and how they stop.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::Upkeep;
use crate::app::App;
use crate::domain::{Job, JobState};
use crate::flows::{EraseError, ReadDelivery, ReindexEnd};

const IDLE: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const KEYS: Duration = Duration::from_secs(30);

/// The running loops; [`Background::stop`] ends each where nothing is lost by it.
pub struct Background {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Background {
    pub fn start(app: &Data<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(reading(app.clone(), stopped.clone())),
            tokio::spawn(indexing(app.clone(), stopped.clone())),
            tokio::spawn(jobs(app.clone(), stopped.clone())),
            tokio::spawn(refreshing_keys(app.clone(), stopped.clone())),
            tokio::spawn(super::feeds::feeds(app.clone(), stopped)),
        ];
        Self { stop, tasks }
    }

    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Waits between looks for work: short when idle, longer after each failure in a row.
struct Pace {
    pause: Duration,
    woken: watch::Receiver<()>,
}

impl Pace {
    fn new(app: &App) -> Self {
        Self { pause: FIRST_PAUSE, woken: app.wake.subscribe() }
    }

    async fn idle(&mut self, stopped: &mut watch::Receiver<bool>) {
        self.pause = FIRST_PAUSE;
        tokio::select! {
            _ = self.woken.changed() => {}
            () = tokio::time::sleep(IDLE) => {}
            _ = stopped.changed() => {}
        }
    }

    async fn after_failure(
        &mut self,
        what: &'static str,
        error: &(dyn std::error::Error + Sync),
        stopped: &mut watch::Receiver<bool>,
    ) {
        tracing::error!(%error, pause_s = self.pause.as_secs(), "{what} failed and is tried again");
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            _ = stopped.changed() => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

async fn reading(app: Data<App>, mut stopped: watch::Receiver<bool>) {
    let (upkeep, mut pace) = (Upkeep::begin(), Pace::new(&app));
    let mut ahead = app.ingest.begin_reading(&upkeep);
    while !*stopped.borrow() {
        match app.ingest.read_batch(&upkeep, &mut ahead).await {
            Ok(Some(read)) => {
                for ReadDelivery { receipt, account } in read {
                    tracing::info!(%receipt, records = account.records, documents = account.documents, "delivery read");
                }
                app.wake.send_replace(());
                continue;
            }
            Ok(None) => pace.idle(&mut stopped).await,
            Err(error) => pace.after_failure("reading", &error, &mut stopped).await,
        }
        ahead = app.ingest.begin_reading(&upkeep);
    }
}

async fn indexing(app: Data<App>, mut stopped: watch::Receiver<bool>) {
    let (upkeep, mut pace) = (Upkeep::begin(), Pace::new(&app));
    while !*stopped.borrow() {
        let step = tokio::select! {
            step = app.indexing.run_once(&upkeep, &|_| {}) => step,
            // What is broken off here is begun again at the next start; vectors that are made are kept.
            _ = stopped.changed() => return,
        };
        match step {
            Ok(0) => pace.idle(&mut stopped).await,
            Ok(changes) => tracing::info!(changes, watermark = app.index.watermark(), "index caught up"),
            Err(error) => pace.after_failure("indexing", &error, &mut stopped).await,
        }
    }
}

async fn jobs(app: Data<App>, mut stopped: watch::Receiver<bool>) {
    let (upkeep, mut pace) = (Upkeep::begin(), Pace::new(&app));
    while !*stopped.borrow() {
        // Erasing goes first, and never beside a reindex, whose half-built generation it would remove.
        match erase_next(&app, &upkeep).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                pace.after_failure("erasing", &error, &mut stopped).await;
                continue;
            }
        }
        match app.store.next_job(&upkeep).await {
            Ok(Some(job)) => tokio::select! {
                () = run_reindex_job(&app, &upkeep, &job) => {}
                // The job stays under way in the store, and is taken up at the next start.
                _ = stopped.changed() => return,
            },
            Ok(None) => pace.idle(&mut stopped).await,
            Err(error) => pace.after_failure("looking for jobs", &error, &mut stopped).await,
        }
    }
}

async fn refreshing_keys(app: Data<App>, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        for issuer in app.verifier.refresh_keys().await {
            tracing::warn!(%issuer, "no keys can be had for this issuer");
        }
        tokio::select! {
            () = tokio::time::sleep(KEYS) => {}
            _ = stopped.changed() => {}
        }
    }
}

/// Whether an erasure was brought to its end.
pub async fn erase_next(app: &App, upkeep: &Upkeep) -> Result<bool, EraseError> {
    let Some(erasure) = app.store.next_erasure(upkeep).await? else { return Ok(false) };
    let Some(certificate) = app.erase.run(upkeep, &erasure).await? else { return Ok(false) };
    tracing::info!(erasure = erasure.id, documents = certificate.documents, "a patient was erased");
    app.wake.send_replace(());
    Ok(true)
}

/// Runs one job to its end and records how it ended.
pub async fn run_reindex_job(app: &Arc<App>, upkeep: &Upkeep, job: &Job) {
    let ended = match app.reindex.run(upkeep, job).await {
        Ok(ReindexEnd::Done) => (JobState::Done, None),
        Ok(ReindexEnd::Cancelled) => (JobState::Cancelled, None),
        Err(error) => {
            tracing::error!(job = %job.id, %error, "a reindex failed");
            (JobState::Failed, Some("the reindex failed; the log says why"))
        }
    };
    if let Err(error) = app.store.end_job(upkeep, &job.id, ended.0, ended.1).await {
        tracing::error!(job = %job.id, %error, "a job's end could not be recorded");
    }
    tracing::info!(job = %job.id, state = ended.0.as_str(), "reindex ended");
}
