//! `anamnesis sources`: declares feeds from a file, lists them, and says how each fares.

use std::path::Path;

use super::arguments::SourcesCommand;
use super::{Done, Failure};
use crate::access::Upkeep;
use crate::adapters::store::Store;
use crate::app::describe_source;
use crate::config::{Config, SourceConfig};
use crate::domain::TenantId;

pub async fn run(config: Config, command: SourcesCommand) -> Done {
    let tenant = TenantId::new(&*config.tenant);
    let store = Store::open(&config.store_path()).await?;
    let done = match command {
        SourcesCommand::Declare { file } => declare(&store, &tenant, &file).await,
        SourcesCommand::List => list(&store, &tenant).await,
    };
    store.close().await;
    done
}

/// A running server takes up what is declared within seconds.
async fn declare(store: &Store, tenant: &TenantId, file: &Path) -> Done {
    let declared = SourceConfig::read_all(file)?;
    if declared.is_empty() {
        return Err(Failure::new("the file declares no [[source]]"));
    }
    let described = declared.iter().map(describe_source).collect::<Result<Vec<_>, _>>()?;
    for description in described {
        store.declare_source(tenant, &description).await?;
        println!("{}: {}", description.name, description.feed.mode());
    }
    Ok(())
}

async fn list(store: &Store, tenant: &TenantId) -> Done {
    let upkeep = Upkeep::begin();
    let runs = store.feed_runs_for_upkeep(&upkeep, tenant).await?;
    for description in store.sources_for_upkeep(&upkeep, tenant).await? {
        let run = runs.iter().find(|run| run.source == description.name);
        let state = match run {
            None => "-".to_owned(),
            Some(run) => match (&run.error, run.ended_at) {
                (Some(error), _) => format!("failed {} times: {error}", run.failures),
                (None, None) => format!("running since {}", run.started_at),
                (None, Some(ended)) => format!("ran well until {ended}"),
            },
        };
        println!("{}\t{}\t{}\t{state}", description.name, description.feed.mode(), description.patients);
    }
    Ok(())
}
