//! Starts the whole service in this process, and stops it so that another can take up its folder.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anamnesis::access::Upkeep;
use anamnesis::adapters::index::IndexError;
use anamnesis::adapters::inference::{DeviceChoice, Embedder, Manifest};
use anamnesis::app::{App, StartError};
use anamnesis::config::Config;
use anamnesis::http;
use anamnesis::jobs::Background;
use tempfile::TempDir;

use crate::tiny_model::write_tiny_model;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

struct Model {
    manifest: Manifest,
    folder: PathBuf,
    _kept: TempDir,
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path().to_owned();
        let manifest = Manifest::parse(&write_tiny_model(&folder, 7)).unwrap();
        Model { manifest, folder, _kept: kept }
    })
}

/// The service before may still be letting go of its index.
async fn started(config: Config) -> App {
    let (model, begun) = (model(), Instant::now());
    loop {
        let embedder = Embedder::load(&model.manifest, &model.folder, DeviceChoice::Cpu).unwrap();
        match App::start(config.clone(), embedder).await {
            Err(StartError::Index(IndexError::InUse)) if begun.elapsed() < PATIENCE => tokio::time::sleep(POLL).await,
            started => return started.unwrap(),
        }
    }
}

pub struct Started {
    pub app: Data<App>,
    pub base: String,
    background: Background,
    handles: [ServerHandle; 2],
}

impl Started {
    pub async fn new(config: Config) -> Self {
        let app = Data::from(Arc::new(started(config).await));
        let serving = http::serve(app.clone(), Upkeep::begin()).unwrap();
        for server in serving.running {
            tokio::spawn(server);
        }
        let background = Background::start(&app);
        Self { app, base: format!("http://{}", serving.address), background, handles: serving.handles }
    }

    pub async fn stop(self) {
        for handle in &self.handles {
            handle.stop(false).await;
        }
        self.background.stop().await;
        self.app.store.close().await;
    }
}
