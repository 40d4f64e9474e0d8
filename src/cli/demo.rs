//! `anamnesis demo`: a small fictional hospital, ingested, served, and asked a question.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::web::Data;
use serde::Serialize;

use super::arguments::DemoOptions;
use super::serve::until_stopped;
use super::{Done, Failure, ask, hospital, ingest, models};
use crate::access::{DevelopmentKey, TokenGrant, Upkeep};
use crate::app::{App, read_development_key};
use crate::config::{Config, HttpConfig};
use crate::domain::TenantId;
use crate::http;
use crate::jobs::Background;

const QUESTION: &str = "Why was metformin stopped for Ana Alvarez?";
const PATIENT: &str = "p-alvarez";
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// Written beside the store once the server answers, for scripts.
#[derive(Serialize)]
struct Ready<'a> {
    url: &'a str,
    token: &'a str,
    admin_token: &'a str,
    question: &'a str,
    patient: &'a str,
}

pub async fn run(surroundings: Config, options: DemoOptions) -> Done {
    let config = configure(surroundings, &options)?;
    let key = development_key(config.development_key_file.as_deref())?;
    let tenant = TenantId::new(&*config.tenant);
    let loaded = models::load(&config).await?;
    let generator = models::load_generator(&config).await?;
    let app = Data::new(App::start_with(config, loaded, generator).await?);
    fill(&app, &tenant, &options).await?;
    let serving = http::serve(app.clone(), Upkeep::begin())?;
    let url = format!("http://{}", serving.address);
    let token = key.mint(&grant("demo-clinician", &tenant, "user/*.rs"));
    let admin_token = key.mint(&grant(
        "demo-admin",
        &tenant,
        "user/*.rs system/*.cruds anamnesis/admin.reindex anamnesis/admin.quarantine anamnesis/admin.sources \
         anamnesis/admin.quality",
    ));
    let background = Background::start(&app);
    let asking = {
        let (url, token) = (url.clone(), token.clone());
        tokio::spawn(async move { ask::answer(&url, &token, QUESTION, Some(PATIENT)).await })
    };
    let stop_after_answer = options.once;
    let report = async move {
        let response = asking.await??;
        println!("\n  address   {url}");
        println!("  token     {token}");
        println!("  admin     {admin_token}");
        println!("  patient   {PATIENT}");
        println!("  question  {QUESTION}\n");
        ask::print_answer(&response);
        if !http::pages_are_present() {
            println!("\n  The page is missing from this build: install Node 20 or later and run make demo again.");
        }
        let ready = Ready { url: &url, token: &token, admin_token: &admin_token, question: QUESTION, patient: PATIENT };
        write_ready(&options.data, &ready)?;
        let answered = response.get("status").and_then(|status| status.as_str()) == Some("answered");
        if answered { Ok(()) } else { Err(Failure::new("the question was not answered")) }
    };
    if stop_after_answer {
        let served = serve_while(serving, background, report).await;
        app.store.close().await;
        return served;
    }
    let (reported, served) = tokio::join!(report, until_stopped(serving, background));
    app.store.close().await;
    reported.and(served)
}

/// Serves only as long as `work` takes.
async fn serve_while(serving: http::Serving, background: Background, work: impl Future<Output = Done>) -> Done {
    let [product, watchers] = serving.running;
    let servers = tokio::spawn(async move { tokio::try_join!(product, watchers) });
    let worked = work.await;
    for handle in &serving.handles {
        handle.stop(true).await;
    }
    background.stop().await;
    servers.await??;
    worked
}

/// The hospital's own configuration; where things are kept comes from the command and the environment.
fn configure(surroundings: Config, options: &DemoOptions) -> Result<Config, Failure> {
    let mut config = hospital::configuration(&options.hospital)?;
    config.data_dir.clone_from(&options.data);
    config.model_dir = surroundings.model_dir;
    config.http = HttpConfig::default();
    config.development_key_file = Some(options.data.join("development.key"));
    std::fs::create_dir_all(&options.data)?;
    Ok(config)
}

/// Made on the first run; whoever can read the file can mint tokens for this demo.
fn development_key(path: Option<&Path>) -> Result<DevelopmentKey, Failure> {
    let path = path.ok_or_else(|| Failure::new("the demo has no key file"))?;
    if !path.exists() {
        let secret: Vec<u8> = (0..3).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        write_private(path, &secret)?;
    }
    Ok(read_development_key(path)?)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

fn grant(subject: &str, tenant: &TenantId, scopes: &str) -> TokenGrant {
    let mut grant = TokenGrant::new(subject, tenant.clone(), scopes);
    grant.lifetime = TOKEN_LIFETIME;
    grant
}

/// Takes the hospital in on the first run; a run that broke off begins again, which changes nothing twice.
async fn fill(app: &App, tenant: &TenantId, options: &DemoOptions) -> Done {
    let upkeep = Upkeep::begin();
    let filled: PathBuf = options.data.join("filled");
    if !filled.exists() {
        for (source, account) in hospital::take_in(app, &upkeep, tenant, &options.hospital).await? {
            println!(
                "{source:>13}: {} records, {} documents, {} facts, {} in quarantine",
                account.records,
                account.documents,
                account.facts,
                account.quarantined.values().sum::<u64>(),
            );
        }
    }
    ingest::index_all(app, &upkeep).await?;
    std::fs::write(filled, "")?;
    println!("        index: {} chunks", app.index.snapshot().chunks());
    Ok(())
}

fn write_ready(folder: &Path, ready: &Ready<'_>) -> Done {
    let text = serde_json::to_vec_pretty(ready)?;
    let next = folder.join("demo.json.next");
    let _ = std::fs::remove_file(&next);
    write_private(&next, &text)?;
    std::fs::rename(next, folder.join("demo.json"))?;
    Ok(())
}
