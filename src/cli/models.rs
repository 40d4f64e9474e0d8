//! `anamnesis models`: which model is configured, and getting its weights.

use std::sync::Arc;

use crate::adapters::inference::{
    DeviceChoice, Embedder, Generator, GeneratorManifest, LocalGenerator, Manifest, Places, is_complete, obtain,
};
use crate::config::Config;

use super::arguments::ModelsCommand;
use super::progress::FetchBar;
use super::{Done, Failure};

pub async fn run(config: Config, command: ModelsCommand) -> Done {
    let manifest = manifest(&config)?;
    match command {
        ModelsCommand::Pull => {
            let folder = pull(&config, &manifest).await?;
            println!("{} is at {}", manifest.name, folder.display());
        }
        ModelsCommand::List => {
            let here = if is_complete(&manifest, &config.model_dir) { "here" } else { "not here yet" };
            println!("{} {} ({} dimensions): {here}", manifest.name, manifest.revision, manifest.dimension);
        }
    }
    Ok(())
}

pub fn manifest(config: &Config) -> Result<Manifest, Failure> {
    match &config.model_manifest {
        Some(path) => Ok(Manifest::parse(&std::fs::read_to_string(path)?)?),
        None => Ok(Manifest::default_embedder()),
    }
}

async fn pull(config: &Config, manifest: &Manifest) -> Result<std::path::PathBuf, Failure> {
    let bar = FetchBar::new();
    let folder = obtain(manifest, &config.model_dir, &Places::default(), &bar).await?;
    bar.finish();
    Ok(folder)
}

/// The model, loaded; its weights are fetched when they aren't here.
pub async fn load(config: &Config) -> Result<Embedder, Failure> {
    let manifest = manifest(config)?;
    let folder = pull(config, &manifest).await?;
    let device = device(&config.device)?;
    let precision = config.precision.parse()?;
    let loading = tokio::task::spawn_blocking(move || Embedder::load_in(precision, &manifest, &folder, device));
    Ok(loading.await??)
}

/// The language model that the configuration wants to compute here, loaded; `None` when it wants none.
pub async fn load_generator(config: &Config) -> Result<Option<Arc<dyn Generator>>, Failure> {
    let settings = &config.generator;
    if settings.kind != "local" {
        return Ok(None);
    }
    let path = settings.manifest.as_ref().ok_or_else(|| Failure::new("generator: set manifest"))?;
    let manifest = GeneratorManifest::parse(&std::fs::read_to_string(path)?)?;
    let folder = pull(config, &manifest.as_files()).await?;
    let (device, max_tokens) = (device(&config.device)?, settings.max_tokens as usize);
    let loading = tokio::task::spawn_blocking(move || LocalGenerator::load(&manifest, &folder, device, max_tokens));
    Ok(Some(Arc::new(loading.await??)))
}

fn device(name: &str) -> Result<DeviceChoice, Failure> {
    let unknown = || Failure::new(format!("device {name} is not cpu, cuda:N or metal:N"));
    match name.split_once(':') {
        None if name == "cpu" => Ok(DeviceChoice::Cpu),
        Some(("cuda", number)) => Ok(DeviceChoice::Cuda(number.parse().map_err(|_| unknown())?)),
        Some(("metal", number)) => Ok(DeviceChoice::Metal(number.parse().map_err(|_| unknown())?)),
        _ => Err(unknown()),
    }
}
