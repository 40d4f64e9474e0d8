//! Documents for people: every read passes the caller's reach, and what is out of reach looks absent.

use std::collections::HashMap;
use std::sync::LazyLock;

use rusqlite::OptionalExtension;
use sqlx::{AssertSqlSafe, FromRow};

use super::rows::DocumentRow;
use super::{Store, StoreError, rows};
use crate::access::{Access, Act, Row, Upkeep};
use crate::domain::{
    Delivery, DocumentId, DocumentKey, DocumentStatus, Kind, PatientId, ReindexTarget, StoredDocument, TenantId,
    Timestamp,
};

/// Enough of a patient to pick the right one.
#[derive(Clone, Debug, PartialEq)]
pub struct PatientSummary {
    pub id: PatientId,
    pub name: Option<String>,
    pub birth_date: Option<String>,
    pub sex: Option<String>,
}

#[derive(FromRow)]
struct SummaryRow {
    patient: String,
    title: String,
    confidentiality: String,
    sensitivity: String,
    codes: String,
    as_of: i64,
    birth_date: Option<String>,
    sex: Option<String>,
}

const LATEST: &str = "SELECT * FROM document WHERE tenant = $1 AND id = $2 ORDER BY version DESC LIMIT 1";

impl Store {
    /// The latest version, or `None` when there is none within reach: absent, withdrawn and forbidden look the same.
    pub async fn document(&self, access: &Access, id: &DocumentId) -> Result<Option<StoredDocument>, StoreError> {
        let latest = self.latest(access.tenant(), id).await?;
        Ok(latest.filter(|document| is_visible(access, Act::Read, document)))
    }

    /// One version. The latest version decides too: what was withdrawn or relabelled is so in all its versions. A
    /// version of a patient who was merged belongs to whom the patient was merged into.
    pub async fn document_version(
        &self,
        access: &Access,
        key: &DocumentKey,
    ) -> Result<Option<StoredDocument>, StoreError> {
        const VERSION: &str = "SELECT * FROM document WHERE tenant = $1 AND id = $2 AND version = $3";
        const SURVIVOR: &str = "SELECT m.survivor FROM document d JOIN patient_merge m ON m.tenant = d.tenant \
            AND m.merged = COALESCE(d.stated_patient, d.patient) \
            WHERE d.tenant = $1 AND d.id = $2 AND d.version = $3";
        let Some(latest) = self.document(access, &key.id).await? else { return Ok(None) };
        if latest.key == *key {
            return Ok(Some(latest));
        }
        let row: Option<DocumentRow> = sqlx::query_as(VERSION)
            .bind(access.tenant().as_str())
            .bind(key.id.as_str())
            .bind(i64::from(key.version))
            .fetch_optional(&self.reader)
            .await?;
        let survivor: Option<String> = sqlx::query_scalar(SURVIVOR)
            .bind(access.tenant().as_str())
            .bind(key.id.as_str())
            .bind(i64::from(key.version))
            .fetch_optional(&self.reader)
            .await?;
        let mut version = row.map(StoredDocument::try_from).transpose()?;
        if let Some((version, survivor)) = version.as_mut().zip(survivor) {
            version.document.patient = Some(PatientId::new(survivor));
        }
        Ok(version.filter(|document| is_visible(access, Act::Read, document)))
    }

    /// The documents behind search hits, by key: those that are still the latest version and within reach.
    pub async fn documents_of_hits(
        &self,
        access: &Access,
        keys: &[DocumentKey],
    ) -> Result<HashMap<DocumentKey, StoredDocument>, StoreError> {
        let (store, access, keys) = (self.clone(), access.clone(), keys.to_vec());
        let reading = tokio::task::spawn_blocking(move || store.read_documents_of_hits(&access, &keys));
        reading.await.map_err(|_| StoreError::Stopped)?
    }

    /// The same for who may block already.
    pub fn read_documents_of_hits(
        &self,
        access: &Access,
        keys: &[DocumentKey],
    ) -> Result<HashMap<DocumentKey, StoredDocument>, StoreError> {
        static HIT: LazyLock<String> = LazyLock::new(|| {
            let columns = DocumentRow::COLUMNS;
            format!("SELECT {columns} FROM document WHERE tenant = $1 AND id = $2 AND version = $3 AND is_latest = 1")
        });
        let rows = self.near.read(|connection| {
            // One snapshot for all, and its locks taken once.
            let _snapshot = connection.unchecked_transaction()?;
            let mut hit = connection.prepare_cached(&HIT)?;
            let mut row_of = |key: &DocumentKey| {
                let key = (access.tenant().as_str(), key.id.as_str(), key.version);
                hit.query_row(key, DocumentRow::read).optional()
            };
            keys.iter().filter_map(|key| row_of(key).transpose()).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let documents = rows.into_iter().map(StoredDocument::try_from).collect::<Result<Vec<_>, _>>()?;
        let seen = documents.into_iter().filter(|document| is_visible(access, Act::Search, document));
        Ok(seen.map(|document| (document.key.clone(), document)).collect())
    }

    /// The delivery that brought a document version, for its original bytes.
    pub async fn delivery_of(&self, access: &Access, key: &DocumentKey) -> Result<Option<(Delivery, u32)>, StoreError> {
        let Some(document) = self.document_version(access, key).await? else { return Ok(None) };
        let delivery = self.delivery(access.tenant(), &document.receipt).await?;
        Ok(delivery.map(|delivery| (delivery, document.ordinal)))
    }

    /// Patients whose demographics the caller may search, by id, after `after`.
    pub async fn patients(
        &self,
        access: &Access,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PatientSummary>, StoreError> {
        let reached = access.reach().patients(Act::Search);
        let reached = reached.map(|ids| serde_json::to_string(&ids).expect("plain values always serialize"));
        // Of a caller who reaches some patients only, the others aren't even looked at: their number would show in time.
        let within = if reached.is_some() { "d.patient IN (SELECT value FROM json_each($4))" } else { "$4 IS NULL" };
        let select = format!(
            "SELECT d.patient AS patient, d.title AS title, d.confidentiality AS confidentiality, \
            d.sensitivity AS sensitivity, d.codes AS codes, \
            COALESCE(d.effective_at, d.source_time, d.received_at) AS as_of, \
            (SELECT f.value_text FROM fact f WHERE f.tenant = d.tenant AND f.document = d.id AND f.version = d.version \
             AND f.code = 'birthDate') AS birth_date, \
            (SELECT f.value_text FROM fact f WHERE f.tenant = d.tenant AND f.document = d.id AND f.version = d.version \
             AND f.code = 'gender') AS sex \
            FROM document d WHERE d.tenant = $1 AND d.kind = 'patient' AND d.is_latest = 1 AND d.status = 'current' \
            AND d.patient > $2 AND {within} ORDER BY d.patient, d.stated_patient IS NOT NULL, d.received_at DESC LIMIT $3"
        );
        let mut patients: Vec<PatientSummary> = Vec::new();
        let mut after = after.unwrap_or_default().to_owned();
        let page_size = 500_i64;
        loop {
            let page: Vec<SummaryRow> = sqlx::query_as(AssertSqlSafe(select.clone()))
                .bind(access.tenant().as_str())
                .bind(&after)
                .bind(page_size)
                .bind(reached.as_deref())
                .fetch_all(&self.reader)
                .await?;
            let is_last_page = (page.len() as i64) < page_size;
            for row in page {
                after.clone_from(&row.patient);
                let patient = PatientId::new(row.patient);
                let labels = rows::labels(&row.confidentiality, &row.sensitivity, &row.codes)?;
                let held = Row {
                    patient: Some(&patient),
                    resource_type: "Patient",
                    kind: Kind::Patient,
                    labels: &labels,
                    as_of: Timestamp::from_micros(row.as_of),
                };
                let is_new = patients.last().is_none_or(|last| last.id != patient);
                if is_new && access.reach().covers(Act::Search, &held) {
                    let shows = |field: &str| access.reach().profile().shows(Some(field));
                    let name = (!row.title.is_empty() && shows("name")).then_some(row.title);
                    let birth_date = row.birth_date.filter(|_| shows("birthDate"));
                    let sex = row.sex.filter(|_| shows("gender"));
                    patients.push(PatientSummary { id: patient, name, birth_date, sex });
                }
                if patients.len() == limit {
                    return Ok(patients);
                }
            }
            if is_last_page {
                return Ok(patients);
            }
        }
    }

    /// The name on a patient's demographics, if the caller may search them.
    pub async fn patient_name(&self, access: &Access, patient: &PatientId) -> Result<Option<String>, StoreError> {
        const NAME: &str = "SELECT * FROM document WHERE tenant = $1 AND patient = $2 AND kind = 'patient' \
            AND is_latest = 1 ORDER BY stated_patient IS NOT NULL, received_at DESC LIMIT 1";
        let row: Option<DocumentRow> = sqlx::query_as(NAME)
            .bind(access.tenant().as_str())
            .bind(patient.as_str())
            .fetch_optional(&self.reader)
            .await?;
        let stored = row.map(StoredDocument::try_from).transpose()?;
        Ok(stored.filter(|stored| is_visible(access, Act::Search, stored)).map(|stored| stored.document.title))
    }

    /// The latest version whatever its status, for indexing: `None` once nothing is held.
    pub async fn latest_for_indexing(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>, StoreError> {
        self.latest(tenant, id).await
    }

    /// Ids of the documents that a reindex derives again, in a stable order, after `after`.
    pub async fn ids_to_reindex(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        target: &ReindexTarget,
        after: &str,
        limit: i64,
    ) -> Result<Vec<DocumentId>, StoreError> {
        const ALL: &str = "SELECT id FROM document WHERE tenant = $1 AND is_latest = 1 AND $2 = '' AND id > $3 \
            ORDER BY id LIMIT $4";
        const SOURCE: &str = "SELECT id FROM document WHERE tenant = $1 AND is_latest = 1 AND source = $2 AND id > $3 \
            ORDER BY id LIMIT $4";
        const PATIENT: &str = "SELECT id FROM document WHERE tenant = $1 AND is_latest = 1 AND patient = $2 \
            AND id > $3 ORDER BY id LIMIT $4";
        const DOCUMENT: &str = "SELECT id FROM document WHERE tenant = $1 AND is_latest = 1 AND id = $2 AND id > $3 \
            ORDER BY id LIMIT $4";
        let (select, argument) = match target {
            ReindexTarget::All => (ALL, ""),
            ReindexTarget::Source(source) => (SOURCE, source.as_str()),
            ReindexTarget::Patient(patient) => (PATIENT, patient.as_str()),
            ReindexTarget::Document(document) => (DOCUMENT, document.as_str()),
        };
        let ids: Vec<String> = sqlx::query_scalar(select)
            .bind(tenant.as_str())
            .bind(argument)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(ids.into_iter().map(DocumentId::new).collect())
    }

    /// How many documents a reindex derives again.
    pub async fn count_to_reindex(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        target: &ReindexTarget,
    ) -> Result<u64, StoreError> {
        const ALL: &str = "SELECT COUNT(*) FROM document WHERE tenant = $1 AND is_latest = 1 AND $2 = ''";
        const SOURCE: &str = "SELECT COUNT(*) FROM document WHERE tenant = $1 AND is_latest = 1 AND source = $2";
        const PATIENT: &str = "SELECT COUNT(*) FROM document WHERE tenant = $1 AND is_latest = 1 AND patient = $2";
        const DOCUMENT: &str = "SELECT COUNT(*) FROM document WHERE tenant = $1 AND is_latest = 1 AND id = $2";
        let (select, argument) = match target {
            ReindexTarget::All => (ALL, ""),
            ReindexTarget::Source(source) => (SOURCE, source.as_str()),
            ReindexTarget::Patient(patient) => (PATIENT, patient.as_str()),
            ReindexTarget::Document(document) => (DOCUMENT, document.as_str()),
        };
        let count: i64 =
            sqlx::query_scalar(select).bind(tenant.as_str()).bind(argument).fetch_one(&self.reader).await?;
        rows::number(count, "count")
    }

    /// Every tenant that has declared a source.
    pub async fn tenants(&self, _upkeep: &Upkeep) -> Result<Vec<TenantId>, StoreError> {
        let tenants: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT tenant FROM source ORDER BY tenant").fetch_all(&self.reader).await?;
        Ok(tenants.into_iter().map(TenantId::new).collect())
    }

    async fn latest(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<StoredDocument>, StoreError> {
        let row: Option<DocumentRow> =
            sqlx::query_as(LATEST).bind(tenant.as_str()).bind(id.as_str()).fetch_optional(&self.reader).await?;
        row.map(StoredDocument::try_from).transpose()
    }
}

fn is_visible(access: &Access, act: Act, stored: &StoredDocument) -> bool {
    let document = &stored.document;
    document.status == DocumentStatus::Current
        && access.reach().profile().gives_whole(document.kind)
        && access.reach().covers(act, &Row::of(stored))
}
