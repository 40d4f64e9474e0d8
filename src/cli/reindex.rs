//! `anamnesis reindex`: queues a job; runs it here, or follows the server that does.

use std::sync::Arc;
use std::time::Duration;

use super::arguments::ReindexOptions;
use super::{Done, Failure, models, progress};
use crate::access::Upkeep;
use crate::adapters::index::IndexError;
use crate::adapters::store::Store;
use crate::app::{App, StartError};
use crate::config::Config;
use crate::domain::{DocumentId, Job, JobState, PatientId, ReindexTarget, SourceId, TenantId};
use crate::jobs::run_reindex_job;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub async fn run(config: Config, options: ReindexOptions) -> Done {
    let upkeep = Upkeep::begin();
    let tenant = TenantId::new(&*config.tenant);
    let store = Store::open(&config.store_path()).await?;
    let job = store.queue_job_for(&upkeep, &tenant, &target(options)).await?;
    let embedder = models::load(&config).await?;
    match App::start(config, embedder).await {
        Ok(app) => {
            let app = Arc::new(app);
            let running = {
                let (app, upkeep) = (app.clone(), upkeep.clone());
                tokio::spawn(async move { run_waiting(&app, &upkeep).await })
            };
            follow(&store, &upkeep, &job).await?;
            running.await?
        }
        Err(StartError::Index(IndexError::InUse)) => follow(&store, &upkeep, &job).await,
        Err(error) => Err(error.into()),
    }
}

fn target(options: ReindexOptions) -> ReindexTarget {
    match (options.source, options.patient, options.document) {
        (Some(source), _, _) => ReindexTarget::Source(SourceId::new(source)),
        (_, Some(patient), _) => ReindexTarget::Patient(PatientId::new(patient)),
        (_, _, Some(document)) => ReindexTarget::Document(DocumentId::new(document)),
        _ => ReindexTarget::All,
    }
}

/// Jobs that waited before ours come first, as on a server.
async fn run_waiting(app: &Arc<App>, upkeep: &Upkeep) -> Done {
    while let Some(job) = app.store.next_job(upkeep).await? {
        run_reindex_job(app, upkeep, &job).await;
    }
    Ok(())
}

async fn follow(store: &Store, upkeep: &Upkeep, job: &Job) -> Done {
    let bar = progress::counting("reindex", 0);
    loop {
        let now = store.job_state(upkeep, &job.id).await?.ok_or_else(|| Failure::new("the job is gone"))?;
        bar.set_length(now.total);
        bar.set_position(now.done);
        match now.state {
            JobState::Queued | JobState::Running => tokio::time::sleep(LOOK_AGAIN).await,
            JobState::Done => {
                bar.finish_and_clear();
                println!("reindexed {} documents", now.done);
                return Ok(());
            }
            JobState::Failed | JobState::Cancelled => {
                bar.finish_and_clear();
                return Err(Failure::new(format!("the job was {}", now.state.as_str())));
            }
        }
    }
}
