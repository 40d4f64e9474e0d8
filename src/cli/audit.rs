//! `anamnesis audit`: proves the audit trail whole, and removes what is past its retention.

use jiff::SignedDuration;

use super::arguments::AuditCommand;
use super::{Done, Failure};
use crate::access::Upkeep;
use crate::adapters::store::Store;
use crate::app::audit_settings;
use crate::config::Config;
use crate::domain::{AuditFault, Timestamp};

pub async fn run(config: Config, command: AuditCommand) -> Done {
    let store = Store::open_with(&config.store_path(), &audit_settings(&config.access)).await?;
    let upkeep = Upkeep::begin();
    match command {
        AuditCommand::Verify => verify(&store, &upkeep).await,
        AuditCommand::Prune { older_than_days } => {
            let bound = Timestamp::now().plus(SignedDuration::from_hours(-24 * i64::from(older_than_days)));
            let removed = store.prune_audit(&upkeep, bound).await?;
            println!("{removed} rows removed");
            Ok(())
        }
    }
}

async fn verify(store: &Store, upkeep: &Upkeep) -> Done {
    let verdict = store.verify_audit(upkeep).await?;
    let bounds = verdict.first.zip(verdict.last).map(|(first, last)| format!(", {first} to {last}"));
    println!("{} rows{}, {} anchors", verdict.rows, bounds.unwrap_or_default(), verdict.anchors);
    for fault in &verdict.faults {
        println!("{}", words(fault));
    }
    if verdict.is_whole() { Ok(()) } else { Err(Failure::new("the audit trail is not whole")) }
}

fn words(fault: &AuditFault) -> String {
    match fault {
        AuditFault::Altered(row) => format!("row {row}: not as it was written"),
        AuditFault::Missing(row) => format!("rows are missing before row {row}"),
        AuditFault::Cut(row) => format!("row {row} was written and is gone from the end"),
        AuditFault::Forged(row) => format!("the signature of the anchor of row {row} does not hold"),
        AuditFault::Rewritten(row) => format!("row {row}: another hash was anchored"),
        AuditFault::Unanchored => "there are rows and no anchors".to_owned(),
    }
}
