//! The audit trail: a row for each read and write, on disk before the bytes leave, each chained to the one before.
//!
//! What the chain can't show by itself, that its end was cut or that all of it was written anew, the anchors beside the
//! database show. `audit_writer` writes the rows, `trail` opens their database.

use sqlx::{AssertSqlSafe, FromRow};

use super::anchors::Anchor;
use super::sqlite;
use super::{Store, StoreError};
use crate::access::{Access, Permit, Upkeep};
use crate::domain::{AuditFault, AuditRecord, AuditVerdict, DocumentKey, PatientId, Timestamp};

/// What a read or a write was and what it gave. Never holds a query's text.
#[derive(Clone, Debug)]
pub struct AuditRow<'a> {
    /// `search`, `answer`, `context`, `document`, `original`, ..., else the route: `GET /v1/admin/jobs`.
    pub action: &'a str,
    pub patient: Option<&'a PatientId>,
    /// Every document version whose content leaves.
    pub documents: &'a [DocumentKey],
    /// `success`, `empty`, `not_found`, `denied`, `refused`, `failed`.
    pub outcome: &'static str,
    pub request_id: &'a str,
}

impl AuditRow<'_> {
    /// `read`, `write` or `admin` by its name or its route; `break_glass` whatever is done under a broken glass.
    pub fn class(&self, access: &Access) -> &'static str {
        let is_emergency = access.glass().is_some() || self.action == "break_glass";
        if is_emergency { "break_glass" } else { class_of(self.action) }
    }
}

/// Who came without a token that opens anything: a sender with a source's secret, or nobody known.
#[derive(Clone, Debug)]
pub struct Stranger<'a> {
    pub tenant: &'a str,
    pub caller: &'a str,
    pub class: &'static str,
}

const COLUMNS: &str = "SELECT sequence, tenant, at, caller, client, purpose, class, break_glass, action, patient, \
    documents, outcome, request_id, hash FROM audit";

#[derive(FromRow)]
struct StoredRow {
    sequence: i64,
    tenant: String,
    at: i64,
    caller: String,
    client: Option<String>,
    purpose: Option<String>,
    class: String,
    break_glass: Option<String>,
    action: String,
    patient: Option<String>,
    documents: String,
    outcome: String,
    request_id: String,
    hash: Option<String>,
}

impl StoredRow {
    fn record(self) -> (AuditRecord, Option<String>) {
        let record = AuditRecord {
            sequence: self.sequence,
            tenant: self.tenant,
            at: Timestamp::from_micros(self.at),
            caller: self.caller,
            client: self.client,
            purpose: self.purpose,
            class: self.class,
            break_glass: self.break_glass,
            action: self.action,
            patient: self.patient,
            documents: self.documents,
            outcome: self.outcome,
            request_id: self.request_id,
        };
        (record, self.hash)
    }
}

/// What sort of act it was, by its name or its route.
fn class_of(action: &str) -> &'static str {
    const WRITES: [&str; 3] = ["/v1/sources/", "/v1/webhooks/", "/v1/subscriptions/"];
    if WRITES.iter().any(|path| action.contains(path)) {
        "write"
    } else if action.contains("/v1/admin/") || action == "quarantine_bytes" || action.starts_with("admin_") {
        "admin"
    } else {
        "read"
    }
}

impl Store {
    /// Writes the row and waits for the disk. No row, no answer.
    pub async fn audit(&self, access: &Access, row: &AuditRow<'_>) -> Result<(), StoreError> {
        let record = AuditRecord {
            class: row.class(access).to_owned(),
            break_glass: access.glass().map(|glass| glass.id.clone()),
            client: access.client().map(str::to_owned),
            purpose: access.purpose().map(str::to_owned),
            ..record_of(access.tenant().as_str(), access.caller(), row)
        };
        self.auditing.append(record).await?;
        access.note_audited();
        Ok(())
    }

    /// The same for an act that no token was good for.
    pub async fn audit_stranger(&self, who: &Stranger<'_>, row: &AuditRow<'_>) -> Result<(), StoreError> {
        let record = AuditRecord { class: who.class.to_owned(), ..record_of(who.tenant, who.caller, row) };
        self.auditing.append(record).await
    }

    /// The same for an operator at the command line of this machine.
    pub async fn audit_upkeep(&self, _upkeep: &Upkeep, tenant: &str, row: &AuditRow<'_>) -> Result<(), StoreError> {
        self.audit_stranger(&Stranger { tenant, caller: "operator", class: "admin" }, row).await
    }

    /// The tenant's rows after `after`, in order.
    pub async fn audit_trail(
        &self,
        permit: &Permit,
        after: i64,
        patient: Option<&PatientId>,
        limit: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let tenant = permit.tenant().as_str();
        let rows = match patient {
            Some(patient) => self.rows_about(tenant, patient, "sequence", after, limit).await?,
            None => {
                let select = format!("{COLUMNS} WHERE tenant = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
                let query = sqlx::query_as(AssertSqlSafe(select)).bind(tenant).bind(after).bind(limit);
                query.fetch_all(&self.trail).await?
            }
        };
        Ok(records(rows))
    }

    /// The rows about a patient, for that patient: the newest, newest first.
    ///
    /// `None` when the caller isn't the patient whom the token was launched for.
    pub async fn access_report(
        &self,
        access: &Access,
        patient: &PatientId,
        limit: i64,
    ) -> Result<Option<Vec<AuditRecord>>, StoreError> {
        if access.launch_patient() != Some(patient) {
            return Ok(None);
        }
        let tenant = access.tenant().as_str();
        let rows = self.rows_about(tenant, patient, "sequence DESC", 0, limit).await?;
        Ok(Some(records(rows)))
    }

    /// The store tells which documents are the patient's, the trail which rows name one of them.
    async fn rows_about(
        &self,
        tenant: &str,
        patient: &PatientId,
        order: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StoredRow>, StoreError> {
        const DOCUMENTS: &str = "SELECT DISTINCT id FROM document WHERE tenant = $1 AND patient = $2";
        let documents: Vec<String> =
            sqlx::query_scalar(DOCUMENTS).bind(tenant).bind(patient.as_str()).fetch_all(&self.reader).await?;
        let about = sqlite::AUDIT_ABOUT;
        let select = format!("{COLUMNS} WHERE tenant = $1 AND {about} AND sequence > $4 ORDER BY {order} LIMIT $5");
        let rows = sqlx::query_as(AssertSqlSafe(select))
            .bind(tenant)
            .bind(patient.as_str())
            .bind(serde_json::to_string(&documents).expect("texts always serialize"))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.trail)
            .await?;
        Ok(rows)
    }

    /// Walks the whole trail, row by row, and holds it against its anchors.
    pub async fn verify_audit(&self, _upkeep: &Upkeep) -> Result<AuditVerdict, StoreError> {
        const CUT: &str = "SELECT sequence, hash FROM audit_cut ORDER BY sequence DESC LIMIT 1";
        const PAGE: i64 = 4096;
        let cut: Option<(i64, String)> = sqlx::query_as(CUT).fetch_optional(&self.trail).await?;
        let (anchors, mut verdict) = self.anchors.read().map_err(StoreError::Anchor)?;
        if let Some((sequence, hash)) = &cut {
            let cut = Anchor { sequence: *sequence, hash: hash.clone() };
            if !self.anchors.is_cut(&cut).map_err(StoreError::Anchor)? {
                verdict.faults.push(AuditFault::Forged(*sequence));
            }
        }
        let (mut before, mut hash) = cut.unwrap_or_else(|| (0, AuditRecord::genesis()));
        verdict.anchors = anchors.len() as u64;
        let begins_after = before;
        let mut anchors = anchors.into_iter().filter(|anchor| anchor.sequence > begins_after).peekable();
        let select = format!("{COLUMNS} WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        loop {
            let page: Vec<StoredRow> =
                sqlx::query_as(AssertSqlSafe(select.clone())).bind(before).bind(PAGE).fetch_all(&self.trail).await?;
            if page.is_empty() {
                break;
            }
            for row in page {
                let (record, stored) = row.record();
                let sequence = record.sequence;
                if sequence != before + 1 {
                    verdict.faults.push(AuditFault::Missing(sequence));
                }
                if stored.as_deref() != Some(record.hash(&hash).as_str()) {
                    verdict.faults.push(AuditFault::Altered(sequence));
                }
                hash = stored.unwrap_or_default();
                while let Some(anchor) = anchors.next_if(|anchor| anchor.sequence <= sequence) {
                    if anchor.sequence == sequence && anchor.hash != hash {
                        verdict.faults.push(AuditFault::Rewritten(sequence));
                    }
                }
                before = sequence;
                verdict.rows += 1;
                verdict.first.get_or_insert(sequence);
                verdict.last = Some(sequence);
            }
        }
        verdict.faults.extend(anchors.map(|anchor| AuditFault::Cut(anchor.sequence)));
        if verdict.rows > 0 && verdict.anchors == 0 {
            verdict.faults.push(AuditFault::Unanchored);
        }
        Ok(verdict)
    }

    /// Removes what was written before `bound`; the chain then begins after it. Returns how many rows went.
    pub async fn prune_audit(&self, _upkeep: &Upkeep, bound: Timestamp) -> Result<u64, StoreError> {
        const LAST: &str = "SELECT sequence, hash FROM audit WHERE sequence < (SELECT COALESCE(MIN(sequence), \
            (SELECT MAX(sequence) + 1 FROM audit)) FROM audit WHERE at >= $1) ORDER BY sequence DESC LIMIT 1";
        let mut transaction = sqlite::begin_write(&self.trail).await?;
        let last: Option<(i64, String)> =
            sqlx::query_as(LAST).bind(bound.as_micros()).fetch_optional(&mut *transaction).await?;
        let Some((sequence, hash)) = last else { return Ok(0) };
        sqlx::query("INSERT INTO audit_cut (sequence, hash, cut_at) VALUES ($1, $2, $3)")
            .bind(sequence)
            .bind(&hash)
            .bind(Timestamp::now().as_micros())
            .execute(&mut *transaction)
            .await?;
        let removed =
            sqlx::query("DELETE FROM audit WHERE sequence <= $1").bind(sequence).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.anchors.set_cut(&Anchor { sequence, hash }).map_err(StoreError::Anchor)?;
        Ok(removed.rows_affected())
    }

    /// Chains rows that were written before there was a chain; only where none is chained yet.
    pub(super) async fn chain_earlier_rows(&self) -> Result<(), StoreError> {
        const UNCHAINED: &str = "SELECT EXISTS (SELECT 1 FROM audit) AND NOT EXISTS \
            (SELECT 1 FROM audit WHERE hash IS NOT NULL)";
        let is_new: bool = sqlx::query_scalar(UNCHAINED).fetch_one(&self.trail).await?;
        if !is_new || self.anchors.exist() {
            return Ok(());
        }
        let mut transaction = sqlite::begin_write(&self.trail).await?;
        let select = format!("{COLUMNS} ORDER BY sequence");
        let rows: Vec<StoredRow> = sqlx::query_as(AssertSqlSafe(select)).fetch_all(&mut *transaction).await?;
        let mut hash = AuditRecord::genesis();
        for row in rows {
            let (record, _) = row.record();
            hash = record.hash(&hash);
            sqlx::query("UPDATE audit SET hash = $1 WHERE sequence = $2")
                .bind(&hash)
                .bind(record.sequence)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn records(rows: Vec<StoredRow>) -> Vec<AuditRecord> {
    rows.into_iter().map(|row| row.record().0).collect()
}

fn record_of(tenant: &str, caller: &str, row: &AuditRow<'_>) -> AuditRecord {
    AuditRecord {
        sequence: 0,
        tenant: tenant.to_owned(),
        at: Timestamp::now(),
        caller: caller.to_owned(),
        client: None,
        purpose: None,
        class: String::new(),
        break_glass: None,
        action: row.action.to_owned(),
        patient: row.patient.map(|patient| patient.to_string()),
        documents: serde_json::to_string(row.documents).expect("plain values always serialize"),
        outcome: row.outcome.to_owned(),
        request_id: row.request_id.to_owned(),
    }
}
