//! Typed facts of one patient, each with the line that it is cited by.

use sqlx::{FromRow, QueryBuilder};

use super::rows::{self, FactRow};
use super::sqlite::Engine;
use super::{Store, StoreError};
use crate::access::{Access, Act, Row};
use crate::domain::{
    Confidentiality, DocumentId, DocumentKey, Fact, FactKind, Kind, PatientId, SourceId, StoredFact, Timestamp,
};

#[derive(FromRow)]
struct PatientFactRow {
    #[sqlx(flatten)]
    fact: FactRow,
    document: String,
    version: i64,
    source: String,
    resource_type: String,
    confidentiality: String,
    sensitivity: String,
    codes: String,
    document_kind: String,
    document_effective_at: Option<i64>,
    source_time: Option<i64>,
    received_at: i64,
    text: String,
}

impl Store {
    /// Current facts of these kinds about a patient, newest first (those without a time last).
    ///
    /// Only facts whose document is the latest version, current, and within the caller's reach for `act`: an answer
    /// to a question takes what may be searched.
    pub async fn facts(
        &self,
        access: &Access,
        act: Act,
        patient: &PatientId,
        kinds: &[FactKind],
    ) -> Result<Vec<StoredFact>, StoreError> {
        if !access.reach().reaches(patient) {
            return Ok(Vec::new());
        }
        let mut select: QueryBuilder<Engine> = QueryBuilder::new(
            "SELECT f.kind, f.code_system, f.code, f.display, f.value_number, f.value_text, f.unit, f.status, \
             f.effective_at, f.span_start, f.span_end, f.document, f.version, d.source, d.resource_type, \
             d.confidentiality, d.sensitivity, d.codes, d.kind AS document_kind, \
             d.effective_at AS document_effective_at, d.source_time, d.received_at, d.text \
             FROM document d CROSS JOIN fact f \
             WHERE f.tenant = d.tenant AND f.document = d.id AND f.version = d.version \
             AND d.is_latest = 1 AND d.status = 'current' AND d.tenant = ",
        );
        // A cross join keeps the order: first the patient's documents, then their facts. Left to itself, SQLite goes
        // through the facts of everybody, and how many there are would show in time.
        select.push_bind(access.tenant().as_str()).push(" AND d.patient = ").push_bind(patient.as_str());
        if access.reach().shows_no_sensitive() {
            // By the index alone: what is withheld is not read first.
            select.push(" AND d.sensitivity = '' AND d.confidentiality IN (");
            let mut levels = select.separated(", ");
            for level in
                Confidentiality::ALL.iter().filter(|level| **level <= access.reach().clearance().confidentiality)
            {
                levels.push_bind(level.as_str());
            }
            levels.push_unseparated(")");
        }
        select.push(" AND f.kind IN (");
        let mut names = select.separated(", ");
        for kind in kinds {
            names.push_bind(kind.as_str());
        }
        names.push_unseparated(")");
        select.push(" ORDER BY COALESCE(f.effective_at, 0) DESC, d.received_at DESC, f.document, f.ordinal");
        let found: Vec<PatientFactRow> = select.build_query_as().fetch_all(&self.reader).await?;
        let mut facts = Vec::with_capacity(found.len());
        for row in found {
            let labels = rows::labels(&row.confidentiality, &row.sensitivity, &row.codes)?;
            let as_of = row.document_effective_at.or(row.source_time).unwrap_or(row.received_at);
            let kind = rows::kind(&row.document_kind)?;
            let held = Row {
                patient: Some(patient),
                resource_type: &row.resource_type,
                kind,
                labels: &labels,
                as_of: Timestamp::from_micros(as_of),
            };
            if !access.reach().covers(act, &held) {
                continue;
            }
            let fact = Fact::try_from(row.fact)?;
            if kind == Kind::Patient && !access.reach().profile().shows(fact.code.as_deref()) {
                continue;
            }
            let line = fact.span.of(&row.text).ok_or(StoreError::Corrupt { what: "fact span" })?.to_owned();
            facts.push(StoredFact {
                key: DocumentKey {
                    id: DocumentId::new(row.document),
                    version: rows::number(row.version, "document version")?,
                },
                source: SourceId::new(row.source),
                patient: Some(patient.clone()),
                fact,
                line,
                source_time: row.source_time.map(Timestamp::from_micros),
                received_at: Timestamp::from_micros(row.received_at),
            });
        }
        Ok(facts)
    }
}
