//! Runs the feeds that we fetch or listen for: one task each, begun and ended as sources are declared and changed.

mod bulk;
mod files;
mod mllp;
mod poll;
mod search;
mod subscription;
mod worker;

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web::Data;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::Upkeep;
use crate::app::App;
use crate::domain::{Feed, SourceDescription, SourceId, TenantId};

/// How often declared sources are compared with what runs.
const LOOK: Duration = Duration::from_secs(2);

/// A feed's own task; it ends soon after `stop` is sent.
struct Running {
    description: SourceDescription,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn begin(app: &Data<App>, tenant: TenantId, description: SourceDescription) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(app.clone(), tenant, description.clone(), stopped));
        Self { description, stop, task }
    }

    async fn end(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// Keeps the running feeds as they are declared, until `stopped`.
pub(super) async fn feeds(app: Data<App>, mut stopped: watch::Receiver<bool>) {
    let upkeep = Upkeep::begin();
    let mut running: HashMap<(TenantId, SourceId), Running> = HashMap::new();
    while !*stopped.borrow() {
        match app.store.running_feeds(&upkeep).await {
            Ok(declared) => follow(&app, declared, &mut running).await,
            Err(error) => tracing::error!(%error, "the declared feeds can't be listed"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopped.changed() => {}
        }
    }
    for (_, feed) in running {
        feed.end().await;
    }
}

/// Ends what is declared no more or otherwise, begins what is new.
async fn follow(
    app: &Data<App>,
    declared: Vec<(TenantId, SourceDescription)>,
    running: &mut HashMap<(TenantId, SourceId), Running>,
) {
    let gone = running.extract_if(|(tenant, _), feed| {
        !declared.iter().any(|(owner, description)| owner == tenant && *description == feed.description)
    });
    for (_, feed) in gone.collect::<Vec<_>>() {
        feed.end().await;
    }
    for (tenant, description) in declared {
        let name = (tenant.clone(), description.name.clone());
        running.entry(name).or_insert_with(|| Running::begin(app, tenant, description));
    }
}

/// One feed until it is stopped.
async fn run(app: Data<App>, tenant: TenantId, description: SourceDescription, mut stopped: watch::Receiver<bool>) {
    let name = description.name.clone();
    tracing::info!(source = %name, mode = description.feed.mode(), "feed begun");
    match description.feed.clone() {
        Feed::Poll(feed) => poll::poll(app, tenant, description, feed, stopped).await,
        Feed::Bulk(feed) => bulk::bulk(app, tenant, description, feed, stopped).await,
        Feed::Subscription(feed) => subscription::subscription(app, tenant, description, feed, stopped).await,
        Feed::Files(feed) => files::files(app, tenant, description, feed, stopped).await,
        Feed::Mllp(feed) => mllp::listen(app, tenant, description, feed, stopped).await,
        // Nothing to run: others post.
        Feed::Push | Feed::Webhook(_) => while !*stopped.borrow() && stopped.changed().await.is_ok() {},
    }
    tracing::info!(source = %name, "feed ended");
}
