//! Erasing a patient from the database: rows at once, bytes of deliveries one by one, and no trace in free pages.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, FromRow};

use super::deliveries::decompress;
use super::landing::compress;
use super::{Store, StoreError, rows, sqlite, take_numbers};
use crate::access::{Permit, Upkeep};
use crate::domain::{
    Certificate, Delivery, DocumentId, Erasure, ErasureState, PatientId, ReceiptId, StoredDocument, TenantId, Timestamp,
};

/// Why an erasure isn't begun.
#[derive(Debug, thiserror::Error)]
pub enum ErasureRefused {
    #[error("the patient's records are under a legal hold")]
    LegalHold,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ErasureRefused {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(FromRow)]
struct ErasureRow {
    id: String,
    tenant: String,
    patients: String,
    reason: String,
    requested_by: String,
    requested_at: i64,
    last_delivery: i64,
    state: String,
    certificate: Option<String>,
}

impl TryFrom<ErasureRow> for Erasure {
    type Error = StoreError;

    fn try_from(row: ErasureRow) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt { what: "erasure" };
        Ok(Self {
            id: row.id,
            tenant: TenantId::new(row.tenant),
            patients: serde_json::from_str(&row.patients).map_err(corrupt)?,
            reason: row.reason,
            requested_by: row.requested_by,
            requested_at: Timestamp::from_micros(row.requested_at),
            last_delivery: row.last_delivery,
            state: ErasureState::parse(&row.state).ok_or(StoreError::Corrupt { what: "erasure" })?,
            certificate: row.certificate.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        })
    }
}

/// A delivery that is looked through for an erased patient.
pub struct Searched {
    pub sequence: i64,
    pub delivery: Delivery,
    /// Whether it was read to its end; else it was set aside.
    pub is_read: bool,
    pub is_remainder: bool,
}

const ERASURE: &str = "SELECT id, tenant, patients, reason, requested_by, requested_at, last_delivery, state, \
    certificate FROM erasure";
/// `$2` is a JSON list of ids.
const OF_PATIENTS: &str = "tenant = $1 AND (patient IN (SELECT value FROM json_each($2)) \
    OR stated_patient IN (SELECT value FROM json_each($2)))";

impl Store {
    /// Asks for a patient's erasure: from the next request on nobody sees anything of them.
    pub async fn request_erasure(
        &self,
        permit: &Permit,
        patient: &PatientId,
        reason: &str,
    ) -> Result<Erasure, ErasureRefused> {
        self.insert_erasure(permit.tenant(), permit.caller(), patient, reason).await
    }

    /// The same by the command line, on the operator's own machine.
    pub async fn request_erasure_for(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        patient: &PatientId,
        reason: &str,
    ) -> Result<Erasure, ErasureRefused> {
        self.insert_erasure(tenant, "operator", patient, reason).await
    }

    async fn insert_erasure(
        &self,
        tenant: &TenantId,
        caller: &str,
        patient: &PatientId,
        reason: &str,
    ) -> Result<Erasure, ErasureRefused> {
        const CLUSTER: &str = "SELECT merged FROM patient_merge WHERE tenant = $1 AND survivor IN \
            (SELECT $2 UNION SELECT survivor FROM patient_merge WHERE tenant = $1 AND merged = $2) \
            UNION SELECT survivor FROM patient_merge WHERE tenant = $1 AND merged = $2";
        const HELD: &str = "SELECT EXISTS (SELECT 1 FROM legal_hold WHERE tenant = $1 AND patient IN \
            (SELECT value FROM json_each($2)))";
        const INSERT: &str = "INSERT INTO erasure (id, tenant, patients, reason, requested_by, requested_at, \
            last_delivery, state) VALUES ($1, $2, $3, $4, $5, $6, $7, 'under_way')";
        const LAST: &str = "SELECT COALESCE(MAX(sequence), 0) FROM delivery";
        let mut transaction = self.begin_write().await?;
        let others: Vec<String> = sqlx::query_scalar(CLUSTER)
            .bind(tenant.as_str())
            .bind(patient.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let patients: BTreeSet<String> = others.into_iter().chain([patient.to_string()]).collect();
        let listed = serde_json::to_string(&patients).expect("plain values always serialize");
        let is_held: bool =
            sqlx::query_scalar(HELD).bind(tenant.as_str()).bind(&listed).fetch_one(&mut *transaction).await?;
        if is_held {
            return Err(ErasureRefused::LegalHold);
        }
        let erasure = Erasure {
            id: uuid::Uuid::now_v7().to_string(),
            tenant: tenant.clone(),
            patients: patients.into_iter().map(PatientId::new).collect(),
            reason: reason.to_owned(),
            requested_by: caller.to_owned(),
            requested_at: Timestamp::now(),
            last_delivery: sqlx::query_scalar(LAST).fetch_one(&mut *transaction).await?,
            state: ErasureState::UnderWay,
            certificate: None,
        };
        sqlx::query(INSERT)
            .bind(&erasure.id)
            .bind(tenant.as_str())
            .bind(&listed)
            .bind(reason)
            .bind(caller)
            .bind(erasure.requested_at.as_micros())
            .bind(erasure.last_delivery)
            .execute(&mut *transaction)
            .await?;
        take_numbers(&mut transaction, "policy", 1).await?;
        transaction.commit().await?;
        Ok(erasure)
    }

    pub async fn erasure(&self, permit: &Permit, id: &str) -> Result<Option<Erasure>, StoreError> {
        let select = format!("{ERASURE} WHERE tenant = $1 AND id = $2");
        let row: Option<ErasureRow> = sqlx::query_as(AssertSqlSafe(select))
            .bind(permit.tenant().as_str())
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        row.map(Erasure::try_from).transpose()
    }

    /// The oldest erasure that is under way.
    pub async fn next_erasure(&self, _upkeep: &Upkeep) -> Result<Option<Erasure>, StoreError> {
        let select = format!("{ERASURE} WHERE state = 'under_way' ORDER BY id LIMIT 1");
        let row: Option<ErasureRow> = sqlx::query_as(AssertSqlSafe(select)).fetch_optional(&self.reader).await?;
        row.map(Erasure::try_from).transpose()
    }

    /// Whether something that had landed when it was asked for hasn't been read yet.
    pub async fn waits_for_reading(&self, _upkeep: &Upkeep, erasure: &Erasure) -> Result<bool, StoreError> {
        const UNREAD: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE state = 'landed' AND sequence <= $1)";
        Ok(sqlx::query_scalar(UNREAD).bind(erasure.last_delivery).fetch_one(&self.reader).await?)
    }

    /// Every version of every document of the patient.
    pub async fn documents_to_erase(
        &self,
        _upkeep: &Upkeep,
        erasure: &Erasure,
    ) -> Result<Vec<StoredDocument>, StoreError> {
        let select = format!("SELECT * FROM document WHERE {OF_PATIENTS}");
        let found: Vec<rows::DocumentRow> = sqlx::query_as(AssertSqlSafe(select))
            .bind(erasure.tenant.as_str())
            .bind(listed(erasure))
            .fetch_all(&self.reader)
            .await?;
        found.into_iter().map(StoredDocument::try_from).collect()
    }

    /// Removes the rows of the patient's documents, and numbers their going, for the index to follow.
    pub async fn erase_documents(
        &self,
        _upkeep: &Upkeep,
        erasure: &Erasure,
        documents: &BTreeSet<DocumentId>,
        certificate: &mut Certificate,
    ) -> Result<(), StoreError> {
        const FACTS: &str = "DELETE FROM fact WHERE tenant = $1 AND document = $2";
        const FINDINGS: &str = "DELETE FROM finding WHERE tenant = $1 AND document = $2";
        const VERSIONS: &str = "DELETE FROM document WHERE tenant = $1 AND id = $2";
        const CHANGE: &str = "INSERT INTO change (sequence, tenant, document, version, changed_at, received_at) \
            VALUES ($1, $2, $3, 0, $4, $4)";
        const MERGES: &str = "DELETE FROM patient_merge WHERE tenant = $1 AND (merged IN \
            (SELECT value FROM json_each($2)) OR stated IN (SELECT value FROM json_each($2)))";
        let tenant = erasure.tenant.as_str();
        let mut transaction = self.begin_write().await?;
        let now = Timestamp::now().as_micros();
        let mut sequence = match documents.len() {
            0 => 0,
            count => take_numbers(&mut transaction, "change", count as i64).await?,
        };
        for id in documents {
            for (delete, count) in [
                (FACTS, &mut certificate.facts),
                (FINDINGS, &mut certificate.findings),
                (VERSIONS, &mut certificate.versions),
            ] {
                let deleted = sqlx::query(delete).bind(tenant).bind(id.as_str()).execute(&mut *transaction).await?;
                *count += deleted.rows_affected();
            }
            sqlx::query(CHANGE)
                .bind(sequence)
                .bind(tenant)
                .bind(id.as_str())
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            sequence += 1;
            certificate.documents += 1;
        }
        sqlx::query(MERGES).bind(tenant).bind(listed(erasure)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deliveries that had landed when the erasure was asked for, in order, after `after`.
    pub async fn deliveries_to_search(
        &self,
        _upkeep: &Upkeep,
        erasure: &Erasure,
        after: i64,
    ) -> Result<Option<Searched>, StoreError> {
        const NEXT: &str = "SELECT receipt, tenant, source, format, name, bytes, size, received_at, sequence, state, \
            is_remainder FROM delivery WHERE tenant = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT 1";
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            delivery: super::deliveries::DeliveryRow,
            sequence: i64,
            state: String,
            is_remainder: i64,
        }
        let row: Option<Row> = sqlx::query_as(NEXT)
            .bind(erasure.tenant.as_str())
            .bind(after)
            .bind(erasure.last_delivery)
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| {
            Ok(Searched {
                sequence: row.sequence,
                delivery: Delivery::try_from(row.delivery)?,
                is_read: row.state == "normalized",
                is_remainder: row.is_remainder != 0,
            })
        })
        .transpose()
    }

    /// The records left of a delivery of which some were erased.
    pub async fn remainder(&self, receipt: &ReceiptId) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        const ALL: &str = "SELECT ordinal, bytes, size FROM delivery_remainder WHERE receipt = $1 ORDER BY ordinal";
        let found: Vec<(i64, Vec<u8>, i64)> =
            sqlx::query_as(ALL).bind(receipt.as_str()).fetch_all(&self.reader).await?;
        let record = |(ordinal, bytes, size): (i64, Vec<u8>, i64)| {
            let size = rows::number(size, "record size")?;
            let bytes = decompress(&bytes, size).map_err(|_| StoreError::Corrupt { what: "record" })?;
            Ok((rows::number(ordinal, "record ordinal")?, bytes))
        };
        found.into_iter().map(record).collect()
    }

    /// One record left of such a delivery.
    pub async fn remaining_record(&self, receipt: &ReceiptId, ordinal: u32) -> Result<Option<Vec<u8>>, StoreError> {
        const ONE: &str = "SELECT bytes, size FROM delivery_remainder WHERE receipt = $1 AND ordinal = $2";
        let found: Option<(Vec<u8>, i64)> =
            sqlx::query_as(ONE).bind(receipt.as_str()).bind(i64::from(ordinal)).fetch_optional(&self.reader).await?;
        let Some((bytes, size)) = found else { return Ok(None) };
        let size = rows::number(size, "record size")?;
        Ok(Some(decompress(&bytes, size).map_err(|_| StoreError::Corrupt { what: "record" })?))
    }

    /// Puts these records in the place of a delivery's bytes; its name goes with them.
    pub async fn cut_delivery(
        &self,
        _upkeep: &Upkeep,
        receipt: &ReceiptId,
        kept: &[(u32, Vec<u8>)],
    ) -> Result<(), StoreError> {
        const CLEAR: &str = "DELETE FROM delivery_remainder WHERE receipt = $1";
        const KEEP: &str = "INSERT INTO delivery_remainder (receipt, ordinal, bytes, size) VALUES ($1, $2, $3, $4)";
        const CUT: &str = "UPDATE delivery SET bytes = $1, size = 0, sha256 = '', name = NULL, is_remainder = 1 \
            WHERE receipt = $2";
        let seal = |bytes: &[u8]| compress(bytes).map_err(|_| StoreError::Corrupt { what: "record" });
        let mut transaction = self.begin_write().await?;
        sqlx::query(CLEAR).bind(receipt.as_str()).execute(&mut *transaction).await?;
        for (ordinal, bytes) in kept {
            sqlx::query(KEEP)
                .bind(receipt.as_str())
                .bind(i64::from(*ordinal))
                .bind(seal(bytes)?)
                .bind(bytes.len() as i64)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(CUT).bind(seal(&[])?).bind(receipt.as_str()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes what a delivery's records at these places left in quarantine, or in its findings.
    pub async fn erase_quarantined(
        &self,
        _upkeep: &Upkeep,
        receipt: &ReceiptId,
        ordinals: &[u32],
    ) -> Result<u64, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut erased = 0;
        for ordinal in ordinals {
            let deleted = sqlx::query("DELETE FROM quarantine WHERE receipt = $1 AND ordinal = $2")
                .bind(receipt.as_str())
                .bind(i64::from(*ordinal))
                .execute(&mut *transaction)
                .await?;
            erased += deleted.rows_affected();
            sqlx::query("DELETE FROM finding WHERE receipt = $1 AND ordinal = $2")
                .bind(receipt.as_str())
                .bind(i64::from(*ordinal))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(erased)
    }

    /// Removes vectors by the hash of their text, whatever the model. Text that another patient's record holds too is
    /// embedded again when it is needed.
    pub async fn erase_embeddings(&self, _upkeep: &Upkeep, hashes: &BTreeSet<String>) -> Result<u64, StoreError> {
        const ERASE: &str = "DELETE FROM embedding WHERE hash IN (SELECT value FROM json_each($1))";
        let mut transaction = self.begin_write().await?;
        let hashes = serde_json::to_string(hashes).expect("texts always serialize");
        let erased = sqlx::query(ERASE).bind(hashes).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(erased.rows_affected())
    }

    /// Writes the database anew, so that what was removed is in no free page, and cuts the log back to nothing.
    pub async fn rewrite(&self, _upkeep: &Upkeep) -> Result<(), StoreError> {
        sqlite::rewrite(&self.writer).await
    }

    /// Notes what an erasure that is under way has come to so far.
    pub async fn keep_certificate(
        &self,
        _upkeep: &Upkeep,
        erasure: &Erasure,
        certificate: &Certificate,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write().await?;
        sqlx::query("UPDATE erasure SET certificate = $1 WHERE id = $2")
            .bind(serde_json::to_string(certificate).expect("plain values always serialize"))
            .bind(&erasure.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes what an erasure came to. The patient's id is free again: what comes under it from now on is other data.
    pub async fn end_erasure(
        &self,
        _upkeep: &Upkeep,
        erasure: &Erasure,
        state: ErasureState,
        mut certificate: Certificate,
    ) -> Result<Certificate, StoreError> {
        const END: &str = "UPDATE erasure SET state = $1, certificate = $2 WHERE id = $3";
        certificate.completed_at = Timestamp::now().to_string();
        let unsigned = serde_json::to_string(&certificate).expect("plain values always serialize");
        let particulars = format!("{} {} {} {}", erasure.id, erasure.tenant, listed(erasure), state.as_str());
        certificate.signature = self.anchors.sign(format!("{particulars}\n{unsigned}").as_bytes());
        let mut transaction = self.begin_write().await?;
        sqlx::query(END)
            .bind(state.as_str())
            .bind(serde_json::to_string(&certificate).expect("plain values always serialize"))
            .bind(&erasure.id)
            .execute(&mut *transaction)
            .await?;
        take_numbers(&mut transaction, "policy", 1).await?;
        transaction.commit().await?;
        Ok(certificate)
    }

    /// Places a legal hold on a patient, or lifts it.
    pub async fn set_legal_hold(
        &self,
        permit: &Permit,
        patient: &PatientId,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        const PLACE: &str = "INSERT INTO legal_hold (tenant, patient, reason, placed_by, placed_at) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, patient) DO UPDATE SET reason = excluded.reason";
        const LIFT: &str = "DELETE FROM legal_hold WHERE tenant = $1 AND patient = $2";
        let tenant = permit.tenant().as_str();
        let mut transaction = self.begin_write().await?;
        match reason {
            Some(reason) => {
                sqlx::query(PLACE)
                    .bind(tenant)
                    .bind(patient.as_str())
                    .bind(reason)
                    .bind(permit.caller())
                    .bind(Timestamp::now().as_micros())
                    .execute(&mut *transaction)
                    .await?;
            }
            None => {
                sqlx::query(LIFT).bind(tenant).bind(patient.as_str()).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn listed(erasure: &Erasure) -> String {
    serde_json::to_string(&erasure.patients).expect("plain values always serialize")
}
