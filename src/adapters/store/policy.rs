//! What bounds callers beside their tokens: lists, care teams, revocations, broken glasses, consents.
//!
//! The reads here serve to close doors, so they take no access; none of them gives a patient's record to anybody.

use std::collections::BTreeSet;

use sqlx::FromRow;

use super::{Store, StoreError, rows, sqlite::Connection, take_numbers};
use crate::access::{Access, Glass, Permit, Policy, Revoked};
use crate::domain::{Delivery, DocumentId, PatientId, ReceiptId, SourceId, TenantId, Timestamp};

/// How far the policy has come; two equal marks mean that nothing was changed between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PolicyMark {
    /// Changes of lists, revocations and glasses.
    pub lists: i64,
    /// The newest change of any document, consents and care teams among them.
    pub change: i64,
}

/// A Consent or a CareTeam as it stands now: the record it is, or that it is no more.
#[derive(Clone, Debug)]
pub struct RuleRecord {
    pub tenant: TenantId,
    pub id: DocumentId,
    pub resource_type: String,
    pub source: SourceId,
    /// Gone, withdrawn, or naming no patient: `None`.
    pub patient: Option<PatientId>,
    pub receipt: ReceiptId,
    pub ordinal: u32,
}

/// A grant that was given, for the report.
#[derive(Clone, Debug, PartialEq)]
pub struct GlassReport {
    pub glass: Glass,
    pub client: Option<String>,
    pub reason: String,
    pub facility: Option<String>,
    pub opened_at: Timestamp,
}

#[derive(FromRow)]
struct GlassRow {
    id: String,
    tenant: String,
    caller: String,
    client: Option<String>,
    patient: String,
    purpose: String,
    reason: String,
    categories: String,
    facility: Option<String>,
    opened_at: i64,
    expires_at: i64,
}

impl From<GlassRow> for GlassReport {
    fn from(row: GlassRow) -> Self {
        Self {
            glass: Glass {
                id: row.id,
                tenant: TenantId::new(row.tenant),
                caller: row.caller,
                patient: PatientId::new(row.patient),
                purpose: row.purpose,
                categories: row.categories.split_whitespace().map(str::to_owned).collect(),
                expires_at: Timestamp::from_micros(row.expires_at),
            },
            client: row.client,
            reason: row.reason,
            facility: row.facility,
            opened_at: Timestamp::from_micros(row.opened_at),
        }
    }
}

#[derive(FromRow)]
struct RuleRow {
    tenant: String,
    id: String,
    resource_type: String,
    source: String,
    patient: Option<String>,
    status: String,
    receipt: String,
    ordinal: i64,
}

const GLASS: &str = "SELECT id, tenant, caller, client, patient, purpose, reason, categories, facility, opened_at, \
    expires_at FROM break_glass";

impl Store {
    pub fn policy_mark(&self) -> Result<PolicyMark, StoreError> {
        const MARK: &str = "SELECT COALESCE((SELECT value FROM counter WHERE name = 'policy'), 0), \
            COALESCE((SELECT MAX(sequence) FROM change), 0)";
        let mark = |row: &rusqlite::Row<'_>| Ok(PolicyMark { lists: row.get(0)?, change: row.get(1)? });
        Ok(self.near.read(|connection| connection.prepare_cached(MARK)?.query_row([], mark))?)
    }

    /// Lists, revocations and open glasses, put into `policy`. Who was merged is reached as whom they became.
    pub async fn read_lists(&self, policy: &mut Policy, now: Timestamp) -> Result<(), StoreError> {
        let rosters: Vec<(String, String, String)> =
            sqlx::query_as("SELECT tenant, caller, patients FROM roster").fetch_all(&self.reader).await?;
        let merges: Vec<(String, String, String)> =
            sqlx::query_as("SELECT tenant, merged, survivor FROM patient_merge").fetch_all(&self.reader).await?;
        for (tenant, caller, patients) in rosters {
            let listed: Vec<String> =
                serde_json::from_str(&patients).map_err(|_| StoreError::Corrupt { what: "roster" })?;
            let mut patients: BTreeSet<PatientId> = listed.into_iter().map(PatientId::new).collect();
            let joined = merges
                .iter()
                .filter(|(of, merged, _)| *of == tenant && patients.contains(&PatientId::new(merged.as_str())));
            let survivors: Vec<_> = joined.map(|(_, _, survivor)| PatientId::new(survivor.as_str())).collect();
            patients.extend(survivors);
            policy.put_roster(TenantId::new(tenant), caller, patients);
        }
        let revoked: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT tenant, kind, value, revoked_at FROM revocation").fetch_all(&self.reader).await?;
        for (tenant, kind, value, at) in revoked {
            let what = if kind == "token" { Revoked::Token(value) } else { Revoked::Caller(value) };
            policy.revoke(TenantId::new(tenant), what, Timestamp::from_micros(at));
        }
        let open: Vec<GlassRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{GLASS} WHERE expires_at > $1")))
            .bind(now.as_micros())
            .fetch_all(&self.reader)
            .await?;
        open.into_iter().for_each(|row| policy.put_glass(GlassReport::from(row).glass));
        let erasing: Vec<(String, String)> =
            sqlx::query_as("SELECT tenant, patients FROM erasure WHERE state = 'under_way'")
                .fetch_all(&self.reader)
                .await?;
        for (tenant, patients) in erasing {
            let patients: Vec<PatientId> =
                serde_json::from_str(&patients).map_err(|_| StoreError::Corrupt { what: "erasure" })?;
            policy.put_erasing(TenantId::new(tenant), patients);
        }
        Ok(())
    }

    /// Every Consent and CareTeam that came, changed or went past `change`.
    pub async fn rules_changed_after(&self, change: i64) -> Result<Vec<RuleRecord>, StoreError> {
        const CHANGED: &str = "SELECT d.tenant, d.id, d.resource_type, d.source, d.patient, d.status, d.receipt, \
            d.ordinal FROM document d WHERE d.is_latest = 1 AND d.resource_type IN ('Consent', 'CareTeam') AND \
            (d.tenant, d.id) IN (SELECT c.tenant, c.document FROM change c WHERE c.sequence > $1)";
        const EVERY: &str = "SELECT tenant, id, resource_type, source, patient, status, receipt, ordinal \
            FROM document WHERE is_latest = 1 AND resource_type IN ('Consent', 'CareTeam')";
        let found: Vec<RuleRow> = match change {
            0 => sqlx::query_as(EVERY).fetch_all(&self.reader).await?,
            _ => sqlx::query_as(CHANGED).bind(change).fetch_all(&self.reader).await?,
        };
        let record = |row: RuleRow| {
            let is_current = row.status == "current";
            Ok(RuleRecord {
                tenant: TenantId::new(row.tenant),
                id: DocumentId::new(row.id),
                resource_type: row.resource_type,
                source: SourceId::new(row.source),
                patient: row.patient.filter(|_| is_current).map(PatientId::new),
                receipt: ReceiptId::new(row.receipt),
                ordinal: rows::number(row.ordinal, "record ordinal")?,
            })
        };
        found.into_iter().map(record).collect()
    }

    /// The delivery that such a record came in.
    pub async fn delivery_of_rule(&self, rule: &RuleRecord) -> Result<Option<Delivery>, StoreError> {
        self.delivery(&rule.tenant, &rule.receipt).await
    }

    /// Sets whom a caller's `user/` scopes reach; `None` takes the list away.
    pub async fn set_roster(
        &self,
        permit: &Permit,
        caller: &str,
        patients: Option<&BTreeSet<PatientId>>,
    ) -> Result<(), StoreError> {
        const SET: &str = "INSERT INTO roster (tenant, caller, patients, updated_by, updated_at) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, caller) DO UPDATE SET patients = excluded.patients, \
            updated_by = excluded.updated_by, updated_at = excluded.updated_at";
        const REMOVE: &str = "DELETE FROM roster WHERE tenant = $1 AND caller = $2";
        let mut transaction = self.begin_write().await?;
        let tenant = permit.tenant().as_str();
        match patients {
            Some(patients) => {
                sqlx::query(SET)
                    .bind(tenant)
                    .bind(caller)
                    .bind(serde_json::to_string(patients).expect("plain values always serialize"))
                    .bind(permit.caller())
                    .bind(Timestamp::now().as_micros())
                    .execute(&mut *transaction)
                    .await?;
            }
            None => {
                sqlx::query(REMOVE).bind(tenant).bind(caller).execute(&mut *transaction).await?;
            }
        }
        note_change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The patients on a caller's list; `None` when there is no list.
    pub async fn roster(&self, permit: &Permit, caller: &str) -> Result<Option<Vec<String>>, StoreError> {
        const ONE: &str = "SELECT patients FROM roster WHERE tenant = $1 AND caller = $2";
        let found: Option<String> =
            sqlx::query_scalar(ONE).bind(permit.tenant().as_str()).bind(caller).fetch_optional(&self.reader).await?;
        let read = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt { what: "roster" });
        found.map(read).transpose()
    }

    /// Takes back a token, or all that a caller was issued until now.
    pub async fn revoke(&self, permit: &Permit, what: &Revoked) -> Result<(), StoreError> {
        const REVOKE: &str = "INSERT INTO revocation (tenant, kind, value, revoked_at, revoked_by) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, kind, value) DO UPDATE SET \
            revoked_at = excluded.revoked_at, revoked_by = excluded.revoked_by";
        let (kind, value) = match what {
            Revoked::Token(id) => ("token", id),
            Revoked::Caller(caller) => ("caller", caller),
        };
        let mut transaction = self.begin_write().await?;
        sqlx::query(REVOKE)
            .bind(permit.tenant().as_str())
            .bind(kind)
            .bind(value)
            .bind(Timestamp::now().as_micros())
            .bind(permit.caller())
            .execute(&mut *transaction)
            .await?;
        note_change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records a grant; it can be used from the next request on.
    pub async fn open_glass(&self, access: &Access, report: &GlassReport) -> Result<(), StoreError> {
        const OPEN: &str = "INSERT INTO break_glass (id, tenant, caller, client, patient, purpose, reason, categories, \
            facility, opened_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let glass = &report.glass;
        let categories: Vec<&str> = glass.categories.iter().map(String::as_str).collect();
        let mut transaction = self.begin_write().await?;
        sqlx::query(OPEN)
            .bind(&glass.id)
            .bind(access.tenant().as_str())
            .bind(access.caller())
            .bind(access.client())
            .bind(glass.patient.as_str())
            .bind(&glass.purpose)
            .bind(&report.reason)
            .bind(categories.join(" "))
            .bind(report.facility.as_deref())
            .bind(report.opened_at.as_micros())
            .bind(glass.expires_at.as_micros())
            .execute(&mut *transaction)
            .await?;
        note_change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The newest grants, newest first.
    pub async fn glasses(&self, permit: &Permit, limit: i64) -> Result<Vec<GlassReport>, StoreError> {
        let select = format!("{GLASS} WHERE tenant = $1 ORDER BY opened_at DESC, id DESC LIMIT $2");
        let found: Vec<GlassRow> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(permit.tenant().as_str())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(found.into_iter().map(GlassReport::from).collect())
    }
}

/// What readers compare to see that the policy is another than the one they hold.
async fn note_change(connection: &mut Connection) -> Result<(), StoreError> {
    take_numbers(connection, "policy", 1).await?;
    Ok(())
}
