//! The audit trail: a row for each read, on disk before the bytes leave.

use super::{Store, StoreError, take_numbers};
use crate::access::Access;
use crate::domain::{DocumentKey, PatientId, Timestamp};

/// What a read was and what it gave. Never holds a query's text.
#[derive(Clone, Debug)]
pub struct AuditRow<'a> {
    /// `search`, `answer`, `context`, `document`, `original`, ...
    pub action: &'static str,
    pub patient: Option<&'a PatientId>,
    /// Every document version whose content leaves.
    pub documents: &'a [DocumentKey],
    /// `success`, `empty`, `not_found`.
    pub outcome: &'static str,
    pub request_id: &'a str,
}

impl Store {
    /// Writes the row and waits for the disk. No row, no answer.
    pub async fn audit(&self, access: &Access, row: &AuditRow<'_>) -> Result<(), StoreError> {
        const WRITE: &str = "INSERT INTO audit \
            (sequence, tenant, at, caller, client, purpose, action, patient, documents, outcome, request_id) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let documents = serde_json::to_string(row.documents).expect("plain values always serialize");
        let mut transaction = self.begin_write().await?;
        let sequence = take_numbers(&mut transaction, "audit", 1).await?;
        sqlx::query(WRITE)
            .bind(sequence)
            .bind(access.tenant().as_str())
            .bind(Timestamp::now().as_micros())
            .bind(access.caller())
            .bind(access.client())
            .bind(access.purpose())
            .bind(row.action)
            .bind(row.patient.map(PatientId::as_str))
            .bind(documents)
            .bind(row.outcome)
            .bind(row.request_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
