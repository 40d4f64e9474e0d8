//! The language model that is configured, and what it may be shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::adapters::inference::{Generator, RemoteGenerator, RemoteSettings};
use crate::config::Config;
use crate::domain::{Leaving, SourceId};
use crate::flows::Writer;
use crate::stages::deidentify::Secret;

/// The writer, or none when none is configured. `local` is the model that was loaded for it, if any was.
pub(super) fn writer(
    config: &Config,
    local: Option<Arc<dyn Generator>>,
    secret: Option<Secret>,
) -> Result<Option<Writer>, StartError> {
    let settings = &config.generator;
    let generator: Arc<dyn Generator> = match settings.kind.as_str() {
        "none" => return Ok(None),
        "remote" => Arc::new(remote(config)?),
        "local" => local.ok_or_else(|| unusable("local: its model was not loaded"))?,
        _ => return Err(unusable("kind is none, remote or local")),
    };
    let by_source = settings.leaving_by_source.iter();
    let leaving_by_source = by_source
        .map(|(source, word)| {
            let source = SourceId::parse(source).ok_or_else(|| unusable("leaving_by_source names no source"))?;
            Ok((source, leaving(word)?))
        })
        .collect::<Result<BTreeMap<_, _>, StartError>>()?;
    // What no client has to recognize later may be named by a secret of this process alone.
    let secret = secret.unwrap_or_else(Secret::random);
    Ok(Some(Writer { generator, leaving: leaving(&settings.leaving)?, leaving_by_source, secret }))
}

fn remote(config: &Config) -> Result<RemoteGenerator, StartError> {
    let settings = &config.generator;
    let set = |value: &Option<String>, name: &str| value.clone().ok_or_else(|| unusable(&format!("set {name}")));
    let key = match &settings.key {
        None => None,
        Some(name) => {
            let secret = config.secret(name).ok_or_else(|| unusable("its key is nowhere"))?;
            Some(String::from_utf8(secret).map_err(|_| unusable("its key is no text"))?)
        }
    };
    let milliseconds = Duration::from_millis;
    let remote = RemoteSettings {
        url: set(&settings.url, "url")?,
        model: set(&settings.model, "model")?,
        key,
        connect_timeout: milliseconds(settings.connect_timeout_ms),
        piece_timeout: milliseconds(settings.piece_timeout_ms),
        total_timeout: milliseconds(settings.total_timeout_ms),
        attempts: settings.attempts.max(1),
        pause: milliseconds(200),
        failures: settings.failures.max(1),
        rest: milliseconds(settings.rest_ms),
        max_tokens: settings.max_tokens,
    };
    RemoteGenerator::new(remote).map_err(|error| unusable(&error.to_string()))
}

/// What isn't understood lets nothing out: it doesn't start.
fn leaving(word: &str) -> Result<Leaving, StartError> {
    match word {
        "none" => Ok(Leaving::None),
        "deidentified" => Ok(Leaving::Deidentified),
        "full" => Ok(Leaving::Full),
        _ => Err(unusable("leaving is none, deidentified or full")),
    }
}

fn unusable(why: &str) -> StartError {
    StartError::Configuration(format!("generator: {why}"))
}
