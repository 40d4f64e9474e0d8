//! `anamnesis erase`: asks for a patient's erasure, and does it unless a server is at work here.

use super::arguments::EraseOptions;
use super::{Done, Failure, models};
use crate::access::Upkeep;
use crate::adapters::index::IndexError;
use crate::adapters::store::{AuditRow, Store};
use crate::app::{App, StartError, audit_settings};
use crate::config::Config;
use crate::domain::{PatientId, TenantId};
use crate::jobs::erase_next;

pub async fn run(config: Config, options: EraseOptions) -> Done {
    let upkeep = Upkeep::begin();
    let store = Store::open_with(&config.store_path(), &audit_settings(&config.access)).await?;
    let (tenant, patient) = (TenantId::new(&*config.tenant), PatientId::new(options.patient));
    let row = AuditRow {
        action: "admin_erase",
        patient: Some(&patient),
        documents: &[],
        outcome: "success",
        request_id: "command line",
    };
    store.audit_upkeep(&upkeep, &config.tenant, &row).await?;
    let erasure = store.request_erasure_for(&upkeep, &tenant, &patient, &options.reason).await?;
    store.close().await;
    println!("{}: asked for; nobody sees the records any more", erasure.id);
    let embedder = models::load(&config).await?;
    match App::start(config, embedder).await {
        Ok(app) => {
            let mut ahead = app.ingest.begin_reading(&upkeep);
            while app.ingest.read_batch(&upkeep, &mut ahead).await?.is_some() {}
            while erase_next(&app, &upkeep).await? {}
            app.store.close().await;
            println!("{}: erased", erasure.id);
            Ok(())
        }
        Err(StartError::Index(IndexError::InUse)) => {
            println!("{}: the server that is at work here erases them", erasure.id);
            Ok(())
        }
        Err(error) => Err(Failure::from(error)),
    }
}
