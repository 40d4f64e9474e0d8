//! What is held of the documents and patients that a batch is about, read before it is judged.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, FromRow};

use super::bulk::ListStatement;
use super::judge::{Held, Place};
use super::outcomes::RecordOutcome;
use super::sqlite::Connection;
use crate::domain::{
    ContentHash, Document, DocumentId, DocumentStatus, Outcome, PatientId, PatientMerge, TenantId, Timestamp,
};

/// One tenant's documents and merges, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None`: nothing is held.
    held: HashMap<DocumentId, Option<Held>>,
    /// The further parts of a record, by the record's own document.
    parts: HashMap<DocumentId, Vec<DocumentId>>,
    /// Who a patient's records belong to, where that is somebody else; `None`: to the patient.
    survivors: HashMap<PatientId, Option<PatientId>>,
    /// What a rehearsal was told and didn't write.
    said: HashMap<PatientId, (Timestamp, PatientId)>,
    flushes: usize,
}

#[derive(FromRow)]
struct HeldRow {
    id: String,
    version: i64,
    source_version: Option<String>,
    source_time: Option<i64>,
    received_at: i64,
    status: String,
    content_hash: String,
    patient: Option<String>,
    part_of: Option<String>,
}

/// Goes straight to the highest version, however many there are.
static HELD: ListStatement = ListStatement::new(
    "WITH wanted (id) AS (VALUES",
    1,
    ") SELECT d.id, d.version, d.source_version, d.source_time, d.received_at, d.status, d.content_hash, d.patient, \
     d.part_of FROM wanted JOIN document d ON d.tenant = ? AND d.id = wanted.id AND d.version = \
     (SELECT MAX(newest.version) FROM document newest WHERE newest.tenant = ? AND newest.id = wanted.id)",
);

static PARTS: ListStatement = ListStatement::new(
    "WITH wanted (id) AS (VALUES",
    1,
    ") SELECT d.id, d.version, d.source_version, d.source_time, d.received_at, d.status, d.content_hash, d.patient, \
     d.part_of FROM wanted JOIN document d ON d.tenant = ? AND d.part_of = wanted.id AND d.is_latest = 1",
);

static SURVIVORS: ListStatement = ListStatement::new(
    "WITH wanted (id) AS (VALUES",
    1,
    ") SELECT DISTINCT m.merged, m.survivor FROM wanted JOIN patient_merge m ON m.tenant = ? AND m.merged = wanted.id",
);

impl Known {
    /// Reads all that judging these records needs; what is known already isn't read again.
    pub async fn read(
        &mut self,
        connection: &mut Connection,
        tenant: &TenantId,
        records: &[&RecordOutcome],
    ) -> Result<(), sqlx::Error> {
        let documents = || records.iter().flat_map(|record| &record.documents).map(|named| &named.id);
        let removed = || records.iter().flat_map(|record| &record.removed);
        let bases = || records.iter().filter_map(|record| record.base());
        let unknown_parts: HashSet<&DocumentId> =
            bases().chain(removed()).filter(|id| !self.parts.contains_key(*id)).collect();
        let unknown_parts: Vec<DocumentId> = unknown_parts.into_iter().cloned().collect();
        self.read_parts(connection, tenant, unknown_parts).await?;
        let unknown: HashSet<&DocumentId> =
            documents().chain(removed()).filter(|id| !self.held.contains_key(*id)).collect();
        let unknown: Vec<DocumentId> = unknown.into_iter().cloned().collect();
        self.read_held(connection, tenant, unknown).await?;
        let patients: HashSet<&PatientId> =
            records.iter().flat_map(|record| patients(record)).filter(|id| !self.survivors.contains_key(*id)).collect();
        let patients: Vec<PatientId> = patients.into_iter().cloned().collect();
        self.read_survivors(connection, tenant, patients).await
    }

    async fn read_held(
        &mut self,
        connection: &mut Connection,
        tenant: &TenantId,
        ids: Vec<DocumentId>,
    ) -> Result<(), sqlx::Error> {
        for (text, batch) in HELD.batches(&ids) {
            let mut select = sqlx::query_as::<_, HeldRow>(AssertSqlSafe(text));
            for id in batch {
                select = select.bind(id.as_str());
            }
            let rows = select.bind(tenant.as_str()).bind(tenant.as_str()).fetch_all(&mut *connection).await?;
            for row in rows {
                self.held.insert(DocumentId::new(row.id.as_str()), Some(row.into()));
            }
        }
        for id in ids {
            self.held.entry(id).or_insert(None);
        }
        Ok(())
    }

    async fn read_parts(
        &mut self,
        connection: &mut Connection,
        tenant: &TenantId,
        ids: Vec<DocumentId>,
    ) -> Result<(), sqlx::Error> {
        let mut found: HashMap<DocumentId, HashMap<DocumentId, Held>> = HashMap::new();
        for (text, batch) in PARTS.batches(&ids) {
            let mut select = sqlx::query_as::<_, HeldRow>(AssertSqlSafe(text));
            for id in batch {
                select = select.bind(id.as_str());
            }
            for mut row in select.bind(tenant.as_str()).fetch_all(&mut *connection).await? {
                let Some(base) = row.part_of.take() else { continue };
                let id = DocumentId::new(row.id.as_str());
                found.entry(DocumentId::new(base)).or_default().insert(id, row.into());
            }
        }
        for id in ids {
            let parts = found.remove(&id).unwrap_or_default();
            self.parts.insert(id, parts.keys().cloned().collect());
            for (part, held) in parts {
                self.held.entry(part).or_insert(Some(held));
            }
        }
        Ok(())
    }

    async fn read_survivors(
        &mut self,
        connection: &mut Connection,
        tenant: &TenantId,
        patients: Vec<PatientId>,
    ) -> Result<(), sqlx::Error> {
        for (text, batch) in SURVIVORS.batches(&patients) {
            let mut select = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(text));
            for patient in batch {
                select = select.bind(patient.as_str());
            }
            for (merged, survivor) in select.bind(tenant.as_str()).fetch_all(&mut *connection).await? {
                if merged != survivor {
                    self.survivors.insert(PatientId::new(merged), Some(PatientId::new(survivor)));
                }
            }
        }
        for patient in patients {
            self.survivors.entry(patient).or_insert(None);
        }
        Ok(())
    }

    /// A number that no earlier flush has.
    pub fn next_flush(&mut self) -> usize {
        self.flushes += 1;
        self.flushes
    }

    pub fn held(&self, id: &DocumentId) -> Option<&Held> {
        self.held.get(id)?.as_ref()
    }

    pub fn hold(&mut self, id: DocumentId, held: Held) {
        self.held.insert(id, Some(held));
    }

    /// The further parts of the record whose own document is `base`, in a stable order.
    pub fn parts(&self, base: &DocumentId) -> Vec<DocumentId> {
        let mut parts = self.parts.get(base).cloned().unwrap_or_default();
        parts.sort();
        parts
    }

    pub fn add_part(&mut self, base: &DocumentId, part: &DocumentId) {
        let parts = self.parts.entry(base.clone()).or_default();
        if !parts.contains(part) {
            parts.push(part.clone());
        }
    }

    /// Who the records of `patient` belong to.
    pub fn survivor<'p>(&'p self, patient: &'p PatientId) -> &'p PatientId {
        self.survivors.get(patient).and_then(Option::as_ref).unwrap_or(patient)
    }

    /// Whom these patients' records belong to from now on.
    pub fn regroup(&mut self, patients: &[PatientId], survivor: &PatientId) {
        for patient in patients {
            self.survivors.insert(patient.clone(), (patient != survivor).then(|| survivor.clone()));
        }
    }

    /// Notes a statement of a rehearsal; returns whether it holds against those before it.
    pub fn say(&mut self, merge: &PatientMerge, at: Timestamp) -> bool {
        let next = (at, merge.survivor.clone());
        let is_news = self.said.get(&merge.merged).is_none_or(|before| *before < next);
        if is_news {
            self.said.insert(merge.merged.clone(), next);
        }
        is_news
    }

    /// The patients among those asked for whose records belong to `survivor`, itself not among them.
    pub fn merged_into(&self, survivor: &PatientId) -> Vec<PatientId> {
        let merged = self.survivors.iter().filter(|(_, to)| to.as_ref() == Some(survivor));
        merged.map(|(patient, _)| patient.clone()).collect()
    }

    /// Documents that stand under `patient` among those that are known.
    pub fn documents_of<'k>(&'k self, patient: &'k PatientId) -> impl Iterator<Item = (&'k DocumentId, &'k Held)> {
        let held = self.held.iter().filter_map(|(id, held)| Some((id, held.as_ref()?)));
        held.filter(move |(_, held)| !held.is_deleted && held.patient.as_ref() == Some(patient))
    }

    pub fn knows(&self, id: &DocumentId) -> bool {
        self.held.contains_key(id)
    }

    /// A document became a new version, under another patient and otherwise the same.
    pub fn moved(&mut self, id: &DocumentId, version: i64, patient: &PatientId) {
        if let Some(Some(held)) = self.held.get_mut(id) {
            held.version = version;
            held.patient = Some(patient.clone());
            held.place = Place::Stored;
        }
    }
}

fn patients(record: &RecordOutcome) -> impl Iterator<Item = &PatientId> {
    let (documents, merges): (&[Document], &[PatientMerge]) = match record.outcome() {
        Some(Outcome::Documents(documents)) => (documents, &[]),
        Some(Outcome::Changes(changes)) => (&changes.documents, &changes.merges),
        _ => (&[], &[]),
    };
    let named = documents.iter().filter_map(|document| document.patient.as_ref());
    named.chain(merges.iter().flat_map(|merge| [&merge.merged, &merge.survivor]))
}

impl From<HeldRow> for Held {
    fn from(row: HeldRow) -> Self {
        Self {
            version: row.version,
            source_version: row.source_version,
            source_time: row.source_time.map(Timestamp::from_micros),
            received_at: Timestamp::from_micros(row.received_at),
            is_deleted: row.status == DocumentStatus::Deleted.as_str(),
            content_hash: ContentHash(row.content_hash),
            patient: row.patient.map(PatientId::new),
            place: Place::Stored,
        }
    }
}
