//! The fictional hospital of `demo/`: its configuration, and what each of its systems sends.

use std::path::Path;

use super::files::find;
use super::{Failure, ingest};
use crate::access::Upkeep;
use crate::app::App;
use crate::config::Config;
use crate::domain::{Account, SourceId, TenantId};

/// What each source sends, in the order in which it is taken in: corrections follow what they correct.
const FEEDS: [(&str, &str); 7] = [
    ("ehr", "fhir"),
    // Its second line was cut off on the way: the demo's quarantine holds it.
    ("ehr", "late-results.ndjson"),
    ("notes", "notes"),
    ("notes", "corrections"),
    ("crm-contacts", "crm/contacts.csv"),
    ("crm-tasks", "crm/tasks.json"),
    ("scheduling", "appointments.ndjson"),
];

/// As the hospital's own file declares it.
pub fn configuration(folder: &Path) -> Result<Config, Failure> {
    Ok(Config::load(Some(&folder.join("anamnesis.toml")))?)
}

/// Lands and reads everything; returns what became of each feed's records.
pub async fn take_in(
    app: &App,
    upkeep: &Upkeep,
    tenant: &TenantId,
    folder: &Path,
) -> Result<Vec<(&'static str, Account)>, Failure> {
    let mut accounts = Vec::with_capacity(FEEDS.len());
    for (source, path) in FEEDS {
        let is_mapped = source.starts_with("crm");
        let found = find(&[folder.join(path)], is_mapped)?;
        accounts.push((source, ingest::take_in(app, upkeep, tenant, &SourceId::new(source), &found).await?));
    }
    Ok(accounts)
}
