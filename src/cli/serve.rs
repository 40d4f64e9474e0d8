//! `anamnesis serve`: both ports and the background work, until told to stop.

use actix_web::web::Data;
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, models};
use crate::access::Upkeep;
use crate::app::App;
use crate::config::Config;
use crate::http::{self, Serving};
use crate::jobs::Background;

pub async fn run(config: Config) -> Done {
    let embedder = models::load(&config).await?;
    let generator = models::load_generator(&config).await?;
    let app = Data::new(App::start_with(config, embedder, generator).await?);
    let serving = http::serve(app.clone(), Upkeep::begin())?;
    tracing::info!(address = %serving.address, operations = %serving.operations_address, "serving");
    if !http::pages_are_present() {
        tracing::warn!("the page is missing from this build: build it with Node 20 or later (make web)");
    }
    let stopped = until_stopped(serving, Background::start(&app)).await;
    app.store.close().await;
    stopped
}

/// Serves until an interrupt or a termination signal; then lets requests and batches in flight finish.
pub async fn until_stopped(serving: Serving, background: Background) -> Done {
    let [product, watchers] = serving.running;
    let servers = tokio::spawn(async move { tokio::try_join!(product, watchers) });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    for handle in &serving.handles {
        handle.stop(true).await;
    }
    background.stop().await;
    servers.await??;
    Ok(())
}
