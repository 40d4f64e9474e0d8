//! A row of the audit trail to test with.

use crate::domain::{AuditRecord, Timestamp};

pub fn record(sequence: i64) -> AuditRecord {
    AuditRecord {
        sequence,
        tenant: "north".to_owned(),
        at: Timestamp::from_micros(sequence),
        caller: "reader".to_owned(),
        client: Some("viewer".to_owned()),
        purpose: None,
        class: "read".to_owned(),
        break_glass: None,
        action: "search".to_owned(),
        patient: None,
        documents: "[]".to_owned(),
        outcome: "success".to_owned(),
        request_id: sequence.to_string(),
    }
}
