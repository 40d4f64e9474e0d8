//! What a delivery came to, written in one transaction: versions, facts, changes, findings, quarantine, account.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sqlx::{FromRow, QueryBuilder};

use super::sqlite::{Engine, WriteTransaction};
use super::{QuarantineItem, ReceiptState, Store, StoreError, rows, take_numbers};
use crate::access::Upkeep;
use crate::domain::{
    Account, Changes, Delivery, Document, DocumentId, DocumentStatus, FactValue, Finding, Format, Normalized, Outcome,
    QuarantineId, Timestamp, Unreadable,
};

/// One record of a delivery, read or not.
#[derive(Debug)]
pub struct RecordOutcome {
    pub ordinal: u32,
    /// The record's bytes, kept beside the reason when it couldn't be read.
    pub bytes: Vec<u8>,
    pub result: Result<Normalized, Unreadable>,
}

/// A delivery with what became of each of its records.
#[derive(Debug)]
pub struct NormalizedDelivery<'a> {
    pub delivery: &'a Delivery,
    pub records: Vec<RecordOutcome>,
}

/// What the store made of a document that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Added,
    Replaced,
    /// The same content as the latest version.
    Unchanged,
    /// Older than what we hold.
    Stale,
}

/// The latest version of a document, as far as deciding about the next one needs it.
#[derive(FromRow)]
struct Latest {
    version: i64,
    source_key: String,
    source_version: Option<String>,
    source_time: Option<i64>,
    received_at: i64,
    status: String,
    content_hash: String,
}

impl Latest {
    /// What to do with `next`, which arrived at `received_at`.
    fn judge(&self, next: &Document, received_at: Timestamp) -> Disposition {
        if self.content_hash == next.content_hash().0 {
            Disposition::Unchanged
        } else if self.is_newer_than(next, received_at) {
            Disposition::Stale
        } else {
            Disposition::Replaced
        }
    }

    /// The source's times decide; where they don't, its own version numbers; where it has none, arrival.
    ///
    /// A deletion keeps the time and number of what it removed: the same bytes sent once more stay deleted.
    fn is_newer_than(&self, next: &Document, received_at: Timestamp) -> bool {
        let counted = |version: &Option<String>| version.as_deref().and_then(|text| text.parse::<i64>().ok());
        let orders = [
            compare(self.source_time, next.times.source.map(Timestamp::as_micros)),
            compare(counted(&self.source_version), counted(&next.source_version)),
        ];
        match orders.into_iter().flatten().find(|order| order.is_ne()) {
            Some(order) => order.is_gt(),
            None if orders.iter().any(Option::is_some) => self.status == DocumentStatus::Deleted.as_str(),
            None => self.received_at > received_at.as_micros(),
        }
    }
}

fn compare(held: Option<i64>, next: Option<i64>) -> Option<Ordering> {
    Some(held?.cmp(&next?))
}

/// Where a document version comes from.
struct Origin<'a> {
    delivery: &'a Delivery,
    ordinal: u32,
}

impl Store {
    /// Writes what a delivery came to and marks it read, all or nothing.
    ///
    /// Errors: [`StoreError::AlreadyRead`] when another reader was first; nothing is written then.
    pub async fn record_outcomes(
        &self,
        _upkeep: &Upkeep,
        normalized: &NormalizedDelivery<'_>,
    ) -> Result<Account, StoreError> {
        const READ: &str =
            "UPDATE delivery SET state = 'normalized', last_change = $1, account = $2 WHERE receipt = $3";
        let mut writing = Writing::begin(self).await?;
        writing.claim(normalized.delivery).await?;
        for record in &normalized.records {
            writing.record(&Origin { delivery: normalized.delivery, ordinal: record.ordinal }, record).await?;
        }
        let account = serde_json::to_string(&writing.account).expect("counts always serialize");
        sqlx::query(READ)
            .bind(writing.last_change)
            .bind(account)
            .bind(normalized.delivery.receipt.as_str())
            .execute(&mut *writing.transaction)
            .await?;
        writing.commit().await
    }

    /// Writes what was held came to when it was read again, and lets it go from quarantine if it could be.
    /// A delivery that was held whole may come apart into several records, each with an end of its own.
    pub(super) async fn record_replay(
        &self,
        delivery: &Delivery,
        records: &[RecordOutcome],
        item: &QuarantineItem,
    ) -> Result<Account, StoreError> {
        const RELEASE: &str = "UPDATE quarantine SET state = 'replayed' WHERE id = $1";
        const HOLD: &str = "UPDATE quarantine SET reason = $1, detail = $2, bytes = $3, size = $4 WHERE id = $5";
        let mut writing = Writing::begin(self).await?;
        let mut is_held = false;
        for record in records {
            match &record.result {
                Err(unreadable) if record.ordinal == item.ordinal => {
                    is_held = true;
                    sqlx::query(HOLD)
                        .bind(unreadable.reason.as_str())
                        .bind(&unreadable.detail)
                        .bind(&record.bytes)
                        .bind(record.bytes.len() as i64)
                        .bind(item.id.as_str())
                        .execute(&mut *writing.transaction)
                        .await?;
                }
                _ => writing.record(&Origin { delivery, ordinal: record.ordinal }, record).await?,
            }
        }
        if !is_held {
            sqlx::query(RELEASE).bind(item.id.as_str()).execute(&mut *writing.transaction).await?;
        }
        writing.commit().await
    }
}

/// One write transaction and what it has counted so far.
struct Writing<'a> {
    transaction: WriteTransaction<'a>,
    account: Account,
    last_change: Option<i64>,
}

impl<'a> Writing<'a> {
    async fn begin(store: &'a Store) -> Result<Self, StoreError> {
        Ok(Self { transaction: store.begin_write().await?, account: Account::default(), last_change: None })
    }

    /// The write lock is held from the beginning, so what is seen here still holds at the commit.
    async fn claim(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        const STATE: &str = "SELECT state FROM delivery WHERE receipt = $1";
        let state: Option<String> =
            sqlx::query_scalar(STATE).bind(delivery.receipt.as_str()).fetch_optional(&mut *self.transaction).await?;
        if state.as_deref() == Some(ReceiptState::Landed.as_str()) { Ok(()) } else { Err(StoreError::AlreadyRead) }
    }

    async fn commit(self) -> Result<Account, StoreError> {
        self.transaction.commit().await?;
        Ok(self.account)
    }

    async fn record(&mut self, origin: &Origin<'_>, record: &RecordOutcome) -> Result<(), StoreError> {
        self.account.records += 1;
        let normalized = match &record.result {
            Ok(normalized) => normalized,
            Err(unreadable) => return self.quarantine(origin, record, unreadable).await,
        };
        let found = match &normalized.outcome {
            Outcome::Documents(documents) => Some(self.documents(origin, documents).await?),
            Outcome::Removed { source_key } => {
                self.account.removed += 1;
                self.withdraw(origin, source_key, &BTreeSet::new()).await?;
                Some(DocumentId::derive(&origin.delivery.source, source_key))
            }
            Outcome::Changes(changes) => self.changes(origin, changes).await?,
            Outcome::CarriesNothing { name } => {
                *self.account.carrying_nothing.entry(name.clone()).or_default() += 1;
                None
            }
        };
        self.findings(origin, found.as_ref(), &normalized.findings).await
    }

    /// Several effects of one record; returns the first document's id.
    async fn changes(&mut self, origin: &Origin<'_>, changes: &Changes) -> Result<Option<DocumentId>, StoreError> {
        let before = (self.account.documents, self.last_change);
        for removal in &changes.removals {
            self.withdraw(origin, &removal.source_key, &BTreeSet::new()).await?;
        }
        for document in &changes.documents {
            let disposition = self.document(origin, document).await?;
            self.count(disposition, document);
        }
        match (self.account.documents, self.last_change) {
            after if after == before => self.account.unchanged += 1,
            _ if changes.documents.is_empty() => self.account.removed += 1,
            _ => self.account.stored += 1,
        }
        let first = changes.documents.first();
        Ok(first.map(|document| DocumentId::derive(&origin.delivery.source, &document.source_key)))
    }

    fn count(&mut self, disposition: Disposition, document: &Document) {
        let counted = match disposition {
            Disposition::Added => &mut self.account.added,
            Disposition::Replaced => &mut self.account.changed,
            Disposition::Unchanged | Disposition::Stale => return,
        };
        *counted += 1;
        self.account.documents += 1;
        self.account.facts += document.facts.len() as u64;
    }

    /// Stores the documents of one record; returns the first one's id.
    async fn documents(&mut self, origin: &Origin<'_>, documents: &[Document]) -> Result<DocumentId, StoreError> {
        let (mut brought, mut stale) = (false, false);
        let mut keys = BTreeSet::new();
        for document in documents {
            keys.insert(document.source_key.clone());
            let disposition = self.document(origin, document).await?;
            self.count(disposition, document);
            match disposition {
                Disposition::Added | Disposition::Replaced => brought = true,
                Disposition::Stale => stale = true,
                Disposition::Unchanged => {}
            }
        }
        let base = documents.first().map(|document| document.source_key.clone()).unwrap_or_default();
        if !stale && self.withdraw(origin, &base, &keys).await? {
            brought = true;
        }
        if brought {
            self.account.stored += 1;
        } else {
            self.account.unchanged += 1;
        }
        Ok(DocumentId::derive(&origin.delivery.source, &base))
    }

    async fn document(&mut self, origin: &Origin<'_>, document: &Document) -> Result<Disposition, StoreError> {
        const LATEST: &str = "SELECT version, source_key, source_version, source_time, received_at, status, content_hash \
            FROM document WHERE tenant = $1 AND id = $2 AND is_latest = 1";
        let id = DocumentId::derive(&origin.delivery.source, &document.source_key);
        let latest: Option<Latest> = sqlx::query_as(LATEST)
            .bind(origin.delivery.tenant.as_str())
            .bind(id.as_str())
            .fetch_optional(&mut *self.transaction)
            .await?;
        let disposition =
            latest.as_ref().map_or(Disposition::Added, |latest| latest.judge(document, origin.delivery.received_at));
        if matches!(disposition, Disposition::Added | Disposition::Replaced) {
            let version = latest.map_or(1, |latest| latest.version + 1);
            self.insert_version(origin, &id, version, document).await?;
        }
        Ok(disposition)
    }

    /// Marks as deleted what the source calls `base` and, of a FHIR record, its parts `base#...`, but for the
    /// keys in `kept`. Returns whether there was any.
    async fn withdraw(&mut self, origin: &Origin<'_>, base: &str, kept: &BTreeSet<String>) -> Result<bool, StoreError> {
        // `$` follows `#` in ASCII: the range holds exactly the keys that begin with `base#`.
        const FAMILY: &str = "SELECT version, source_key, source_version, source_time, received_at, status, content_hash \
            FROM document WHERE tenant = $1 AND source = $2 AND is_latest = 1 \
            AND (source_key = $3 OR (source_key >= $4 AND source_key < $5))";
        let family: Vec<Latest> = sqlx::query_as(FAMILY)
            .bind(origin.delivery.tenant.as_str())
            .bind(origin.delivery.source.as_str())
            .bind(base)
            .bind(format!("{base}#"))
            .bind(format!("{base}$"))
            .fetch_all(&mut *self.transaction)
            .await?;
        // Elsewhere a `#` is just a letter of the source's own key.
        let has_parts = matches!(origin.delivery.format, Format::FhirJson | Format::FhirNdjson);
        let mut withdrawn = false;
        for member in family {
            let is_of_record = has_parts || member.source_key == base;
            let is_gone = member.status == DocumentStatus::Deleted.as_str();
            if is_of_record && !is_gone && !kept.contains(&member.source_key) {
                self.insert_tombstone(origin, &member).await?;
                withdrawn = true;
            }
        }
        Ok(withdrawn)
    }

    /// A version that says "gone": everything but the text and facts is carried over.
    async fn insert_tombstone(&mut self, origin: &Origin<'_>, member: &Latest) -> Result<(), StoreError> {
        const BURY: &str = "INSERT INTO document (tenant, id, version, is_latest, source, source_key, source_version, \
            kind, resource_type, patient, encounter, title, author, effective_at, source_time, received_at, \
            confidentiality, sensitivity, status, text, sections, pages, content_hash, receipt, ordinal) \
            SELECT tenant, id, version + 1, 1, source, source_key, source_version, kind, resource_type, patient, encounter, '', \
            NULL, effective_at, source_time, $1, confidentiality, sensitivity, 'deleted', '', '[]', '[]', '', $2, $3 \
            FROM document WHERE tenant = $4 AND id = $5 AND version = $6";
        let tenant = origin.delivery.tenant.as_str();
        let id = DocumentId::derive(&origin.delivery.source, &member.source_key);
        sqlx::query(BURY)
            .bind(origin.delivery.received_at.as_micros())
            .bind(origin.delivery.receipt.as_str())
            .bind(i64::from(origin.ordinal))
            .bind(tenant)
            .bind(id.as_str())
            .bind(member.version)
            .execute(&mut *self.transaction)
            .await?;
        self.supersede(origin, &id, member.version + 1).await
    }

    async fn insert_version(
        &mut self,
        origin: &Origin<'_>,
        id: &DocumentId,
        version: i64,
        document: &Document,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO document (tenant, id, version, is_latest, source, source_key, \
            source_version, kind, resource_type, patient, encounter, title, author, effective_at, source_time, \
            received_at, confidentiality, sensitivity, status, text, sections, pages, content_hash, receipt, ordinal) \
            VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
            $21, $22, $23, $24)";
        let sections = serde_json::to_string(&document.sections).expect("plain values always serialize");
        sqlx::query(INSERT)
            .bind(origin.delivery.tenant.as_str())
            .bind(id.as_str())
            .bind(version)
            .bind(origin.delivery.source.as_str())
            .bind(&document.source_key)
            .bind(document.source_version.as_deref())
            .bind(document.kind.as_str())
            .bind(&document.resource_type)
            .bind(document.patient.as_ref().map(|patient| patient.as_str()))
            .bind(document.encounter.as_deref())
            .bind(&document.title)
            .bind(document.author.as_deref())
            .bind(document.times.effective.map(Timestamp::as_micros))
            .bind(document.times.source.map(Timestamp::as_micros))
            .bind(origin.delivery.received_at.as_micros())
            .bind(document.labels.confidentiality.as_str())
            .bind(rows::sensitivity_text(&document.labels))
            .bind(document.status.as_str())
            .bind(&document.text)
            .bind(sections)
            .bind(serde_json::to_string(&document.pages).expect("numbers always serialize"))
            .bind(document.content_hash().0)
            .bind(origin.delivery.receipt.as_str())
            .bind(i64::from(origin.ordinal))
            .execute(&mut *self.transaction)
            .await?;
        self.insert_facts(origin, id, version, document).await?;
        self.note_source_time(origin, document.times.source).await?;
        self.supersede(origin, id, version).await
    }

    async fn insert_facts(
        &mut self,
        origin: &Origin<'_>,
        id: &DocumentId,
        version: i64,
        document: &Document,
    ) -> Result<(), StoreError> {
        if document.facts.is_empty() {
            return Ok(());
        }
        let mut insert: QueryBuilder<Engine> = QueryBuilder::new(
            "INSERT INTO fact (tenant, document, version, ordinal, kind, code_system, code, display, value_number, \
             value_text, unit, status, effective_at, span_start, span_end) ",
        );
        // 15 columns a row: far below the engines' limit of bound values for any real resource.
        for (batch_number, batch) in document.facts.chunks(500).enumerate() {
            insert.reset();
            insert.push_values(batch.iter().enumerate(), |mut row, (index, fact)| {
                let (number, text, unit) = match &fact.value {
                    Some(FactValue::Quantity { value, unit }) => (Some(*value), None, unit.clone()),
                    Some(FactValue::Text(text)) => (None, Some(text.clone()), None),
                    None => (None, None, None),
                };
                row.push_bind(origin.delivery.tenant.as_str().to_owned())
                    .push_bind(id.as_str().to_owned())
                    .push_bind(version)
                    .push_bind((batch_number * 500 + index) as i64)
                    .push_bind(fact.kind.as_str())
                    .push_bind(fact.system.clone())
                    .push_bind(fact.code.clone())
                    .push_bind(fact.display.clone())
                    .push_bind(number)
                    .push_bind(text)
                    .push_bind(unit)
                    .push_bind(fact.status.clone())
                    .push_bind(fact.effective.map(Timestamp::as_micros))
                    .push_bind(fact.span.start as i64)
                    .push_bind(fact.span.end as i64);
            });
            insert.build().execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Makes `version` the latest and numbers the change.
    async fn supersede(&mut self, origin: &Origin<'_>, id: &DocumentId, version: i64) -> Result<(), StoreError> {
        const DEMOTE: &str =
            "UPDATE document SET is_latest = 0 WHERE tenant = $1 AND id = $2 AND version < $3 AND is_latest = 1";
        const CHANGE: &str = "INSERT INTO change (sequence, tenant, document, version, changed_at, received_at) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        let tenant = origin.delivery.tenant.as_str();
        sqlx::query(DEMOTE).bind(tenant).bind(id.as_str()).bind(version).execute(&mut *self.transaction).await?;
        let sequence = take_numbers(&mut self.transaction, "change", 1).await?;
        sqlx::query(CHANGE)
            .bind(sequence)
            .bind(tenant)
            .bind(id.as_str())
            .bind(version)
            .bind(Timestamp::now().as_micros())
            .bind(origin.delivery.received_at.as_micros())
            .execute(&mut *self.transaction)
            .await?;
        self.last_change = Some(sequence);
        Ok(())
    }

    async fn note_source_time(&mut self, origin: &Origin<'_>, time: Option<Timestamp>) -> Result<(), StoreError> {
        const NEWER: &str = "UPDATE source SET newest_source_time = $1 WHERE tenant = $2 AND name = $3 \
            AND (newest_source_time IS NULL OR newest_source_time < $1)";
        let Some(time) = time else { return Ok(()) };
        sqlx::query(NEWER)
            .bind(time.as_micros())
            .bind(origin.delivery.tenant.as_str())
            .bind(origin.delivery.source.as_str())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    async fn quarantine(
        &mut self,
        origin: &Origin<'_>,
        record: &RecordOutcome,
        unreadable: &Unreadable,
    ) -> Result<(), StoreError> {
        const HOLD: &str = "INSERT INTO quarantine \
            (id, tenant, source, receipt, ordinal, reason, detail, bytes, size, quarantined_at, state) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'held') ON CONFLICT (receipt, ordinal) DO NOTHING";
        *self.account.quarantined.entry(unreadable.reason).or_default() += 1;
        sqlx::query(HOLD)
            .bind(QuarantineId::fresh().as_str())
            .bind(origin.delivery.tenant.as_str())
            .bind(origin.delivery.source.as_str())
            .bind(origin.delivery.receipt.as_str())
            .bind(i64::from(origin.ordinal))
            .bind(unreadable.reason.as_str())
            .bind(&unreadable.detail)
            .bind(&record.bytes)
            .bind(record.bytes.len() as i64)
            .bind(Timestamp::now().as_micros())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    async fn findings(
        &mut self,
        origin: &Origin<'_>,
        document: Option<&DocumentId>,
        findings: &[Finding],
    ) -> Result<(), StoreError> {
        const FOUND: &str = "INSERT INTO finding \
            (tenant, receipt, ordinal, number, source, document, rule, severity, path, found_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
            ON CONFLICT (tenant, receipt, ordinal, number) DO NOTHING";
        self.account.findings += findings.len() as u64;
        for (number, finding) in findings.iter().enumerate() {
            sqlx::query(FOUND)
                .bind(origin.delivery.tenant.as_str())
                .bind(origin.delivery.receipt.as_str())
                .bind(i64::from(origin.ordinal))
                .bind(number as i64)
                .bind(origin.delivery.source.as_str())
                .bind(document.map(DocumentId::as_str))
                .bind(&finding.rule)
                .bind(finding.severity.as_str())
                .bind(&finding.path)
                .bind(Timestamp::now().as_micros())
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }
}
