//! The audit trail for those who may see it: as FHIR AuditEvents for auditors, in plain words for the patient.

use serde_json::{Value, json};

use crate::access::{Access, Permit};
use crate::adapters::store::{Store, StoreError};
use crate::domain::{AuditRecord, PatientId};
use crate::stages::audit_event::audit_event;

/// Rows on one page.
const PAGE: i64 = 500;
/// Rows of a patient's report: the newest.
const REPORT: i64 = 1_000;

#[derive(Clone)]
pub struct AuditTrailFlow {
    store: Store,
}

impl AuditTrailFlow {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// A page of AuditEvents as a Bundle, after a row's number; `next` in it leads on.
    pub async fn events(&self, permit: &Permit, after: i64, patient: Option<&PatientId>) -> Result<Value, StoreError> {
        let records = self.store.audit_trail(permit, after, patient, PAGE).await?;
        let entries: Vec<Value> = records.iter().map(|record| json!({"resource": audit_event(record)})).collect();
        let mut bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
        if let Some(last) = records.last().filter(|_| records.len() as i64 == PAGE) {
            bundle["link"] = json!([{"relation": "next", "url": format!("/v1/admin/audit?after={}", last.sequence)}]);
        }
        Ok(bundle)
    }

    /// Who saw a patient's records, for that patient; `None` for anybody else.
    pub async fn report(&self, access: &Access, patient: &PatientId) -> Result<Option<Vec<AuditRecord>>, StoreError> {
        self.store.access_report(access, patient, REPORT).await
    }
}
