//! Writes what a ledger decided: a few statements of many rows each, one range of change numbers.

use sqlx::AssertSqlSafe;

use super::bulk::{BulkInsert, ListStatement};
use super::ledger::{Changed, Found, HeldRecord, NewVersion, Pending, Tombstone};
use super::sqlite::Connection;
use super::{StoreError, rows, take_numbers};
use crate::domain::{DocumentId, Fact, FactValue, PatientId, QuarantineId, SourceId, TenantId, Timestamp};

static VERSIONS: BulkInsert = BulkInsert::new(
    "INSERT INTO document (tenant, id, version, is_latest, source, source_key, source_version, kind, resource_type, \
     patient, stated_patient, part_of, encounter, title, author, effective_at, source_time, received_at, \
     confidentiality, sensitivity, codes, status, text, sections, pages, content_hash, receipt, ordinal)",
    28,
    "",
);

static FACTS: BulkInsert = BulkInsert::new(
    "INSERT INTO fact (tenant, document, version, ordinal, kind, code_system, code, display, value_number, \
     value_text, unit, status, effective_at, span_start, span_end)",
    15,
    "",
);

static CHANGES: BulkInsert =
    BulkInsert::new("INSERT INTO change (sequence, tenant, document, version, changed_at, received_at)", 6, "");

static QUARANTINE: BulkInsert = BulkInsert::new(
    "INSERT INTO quarantine (id, tenant, source, receipt, ordinal, reason, detail, bytes, size, quarantined_at, state)",
    11,
    "ON CONFLICT (receipt, ordinal) DO NOTHING",
);

static FINDINGS: BulkInsert = BulkInsert::new(
    "INSERT INTO finding (tenant, receipt, ordinal, number, source, document, rule, severity, path, found_at)",
    10,
    "ON CONFLICT (tenant, receipt, ordinal, number) DO NOTHING",
);

static SUPERSEDED: ListStatement = ListStatement::new(
    "WITH wanted (id, version) AS (VALUES",
    2,
    ") UPDATE document SET is_latest = 0 FROM wanted \
     WHERE document.tenant = ? AND document.id = wanted.id AND document.version = wanted.version",
);

/// Writes it all; gives the number of the last change to `note`, by the part of the batch that made it.
pub(super) async fn write(
    connection: &mut Connection,
    tenant: &TenantId,
    pending: &Pending<'_>,
    note: &mut impl FnMut(usize, i64),
) -> Result<(), StoreError> {
    demote(connection, tenant, &pending.superseded).await?;
    insert_versions(connection, tenant, &pending.versions).await?;
    for tombstone in &pending.tombstones {
        bury(connection, tenant, tombstone).await?;
    }
    insert_facts(connection, tenant, &pending.versions).await?;
    number_changes(connection, tenant, &pending.changes, note).await?;
    insert_quarantined(connection, tenant, &pending.quarantined).await?;
    insert_findings(connection, tenant, &pending.findings).await?;
    for (source, time) in &pending.newest_source_times {
        note_source_time(connection, tenant, source, *time).await?;
    }
    Ok(())
}

/// These versions are the latest no more.
pub(super) async fn demote(
    connection: &mut Connection,
    tenant: &TenantId,
    superseded: &[(DocumentId, i64)],
) -> Result<(), StoreError> {
    for (text, batch) in SUPERSEDED.batches(superseded) {
        let mut update = sqlx::query(AssertSqlSafe(text));
        for (id, version) in batch {
            update = update.bind(id.as_str()).bind(*version);
        }
        update.bind(tenant.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_versions(
    connection: &mut Connection,
    tenant: &TenantId,
    versions: &[NewVersion<'_>],
) -> Result<(), StoreError> {
    let insert = VERSIONS.run(connection, versions, |row, version| {
        let document = version.document.as_ref();
        let delivery = version.origin.delivery;
        let stated = document.patient.as_ref().map(PatientId::as_str);
        let survivor = version.survivor.as_ref().map(PatientId::as_str);
        row.bind(tenant.as_str())
            .bind(version.id.as_str())
            .bind(version.version)
            .bind(i64::from(version.is_latest))
            .bind(delivery.source.as_str())
            .bind(document.source_key.as_str())
            .bind(document.source_version.as_deref())
            .bind(document.kind.as_str())
            .bind(document.resource_type.as_str())
            .bind(survivor.or(stated))
            .bind(survivor.and(stated))
            .bind(version.part_of.map(DocumentId::as_str))
            .bind(document.encounter.as_deref())
            .bind(document.title.as_str())
            .bind(document.author.as_deref())
            .bind(document.times.effective.map(Timestamp::as_micros))
            .bind(document.times.source.map(Timestamp::as_micros))
            .bind(delivery.received_at.as_micros())
            .bind(document.labels.confidentiality.as_str())
            .bind(rows::sensitivity_text(&document.labels))
            .bind(rows::codes_text(&document.labels))
            .bind(document.status.as_str())
            .bind(document.text.as_str())
            .bind(serde_json::to_string(&document.sections).expect("plain values always serialize"))
            .bind(serde_json::to_string(&document.pages).expect("numbers always serialize"))
            .bind(version.content_hash.0.as_str())
            .bind(delivery.receipt.as_str())
            .bind(i64::from(version.origin.ordinal))
    });
    Ok(insert.await?)
}

/// A version that says "gone": everything but the text and facts is carried over.
async fn bury(connection: &mut Connection, tenant: &TenantId, tombstone: &Tombstone<'_>) -> Result<(), StoreError> {
    const BURY: &str = "INSERT INTO document (tenant, id, version, is_latest, source, source_key, source_version, \
        kind, resource_type, patient, stated_patient, part_of, encounter, title, author, effective_at, source_time, \
        received_at, confidentiality, sensitivity, codes, status, text, sections, pages, content_hash, receipt, ordinal) \
        SELECT tenant, id, version + 1, $1, source, source_key, source_version, kind, resource_type, patient, \
        stated_patient, part_of, encounter, '', NULL, effective_at, COALESCE($2, source_time), $3, confidentiality, \
        sensitivity, codes, 'deleted', '', '[]', '[]', '', $4, $5 FROM document WHERE tenant = $6 AND id = $7 AND version = $8";
    let Tombstone { origin, id, version, is_latest, source_time } = tombstone;
    sqlx::query(BURY)
        .bind(i64::from(*is_latest))
        .bind(source_time.map(Timestamp::as_micros))
        .bind(origin.delivery.received_at.as_micros())
        .bind(origin.delivery.receipt.as_str())
        .bind(i64::from(origin.ordinal))
        .bind(tenant.as_str())
        .bind(id.as_str())
        .bind(version - 1)
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert_facts(
    connection: &mut Connection,
    tenant: &TenantId,
    versions: &[NewVersion<'_>],
) -> Result<(), StoreError> {
    let facts = |version| -> Vec<(&NewVersion<'_>, usize, &Fact)> {
        let version: &NewVersion<'_> = version;
        version.document.facts.iter().enumerate().map(|(ordinal, fact)| (version, ordinal, fact)).collect()
    };
    let facts: Vec<_> = versions.iter().flat_map(facts).collect();
    let insert = FACTS.run(connection, &facts, |row, (version, ordinal, fact)| {
        let (number, text, unit) = match &fact.value {
            Some(FactValue::Quantity { value, unit }) => (Some(*value), None, unit.as_deref()),
            Some(FactValue::Text(text)) => (None, Some(text.as_str()), None),
            None => (None, None, None),
        };
        row.bind(tenant.as_str())
            .bind(version.id.as_str())
            .bind(version.version)
            .bind(*ordinal as i64)
            .bind(fact.kind.as_str())
            .bind(fact.system.as_deref())
            .bind(fact.code.as_deref())
            .bind(fact.display.as_str())
            .bind(number)
            .bind(text)
            .bind(unit)
            .bind(fact.status.as_deref())
            .bind(fact.effective.map(Timestamp::as_micros))
            .bind(fact.span.start as i64)
            .bind(fact.span.end as i64)
    });
    Ok(insert.await?)
}

/// Gives each change the next number, in order, and tells `note` which.
pub(super) async fn number_changes(
    connection: &mut Connection,
    tenant: &TenantId,
    changes: &[Changed<'_>],
    note: &mut impl FnMut(usize, i64),
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let first = take_numbers(connection, "change", changes.len() as i64).await?;
    let numbered: Vec<_> = (first..).zip(changes).collect();
    let now = Timestamp::now().as_micros();
    let insert = CHANGES.run(connection, &numbered, |row, (sequence, change)| {
        row.bind(*sequence)
            .bind(tenant.as_str())
            .bind(change.id.as_str())
            .bind(change.version)
            .bind(now)
            .bind(change.origin.delivery.received_at.as_micros())
    });
    insert.await?;
    numbered.iter().for_each(|(sequence, change)| note(change.origin.slice, *sequence));
    Ok(())
}

async fn insert_quarantined(
    connection: &mut Connection,
    tenant: &TenantId,
    records: &[HeldRecord<'_>],
) -> Result<(), StoreError> {
    let now = Timestamp::now().as_micros();
    let insert = QUARANTINE.run(connection, records, |row, record| {
        let delivery = record.origin.delivery;
        row.bind(QuarantineId::fresh().to_string())
            .bind(tenant.as_str())
            .bind(delivery.source.as_str())
            .bind(delivery.receipt.as_str())
            .bind(i64::from(record.origin.ordinal))
            .bind(record.unreadable.reason.as_str())
            .bind(record.unreadable.detail.as_str())
            .bind(record.bytes)
            .bind(record.bytes.len() as i64)
            .bind(now)
            .bind("held")
    });
    Ok(insert.await?)
}

async fn insert_findings(
    connection: &mut Connection,
    tenant: &TenantId,
    findings: &[Found<'_>],
) -> Result<(), StoreError> {
    let now = Timestamp::now().as_micros();
    let insert = FINDINGS.run(connection, findings, |row, found| {
        let delivery = found.origin.delivery;
        row.bind(tenant.as_str())
            .bind(delivery.receipt.as_str())
            .bind(i64::from(found.origin.ordinal))
            .bind(found.number as i64)
            .bind(delivery.source.as_str())
            .bind(found.document.as_ref().map(DocumentId::as_str))
            .bind(found.finding.rule.as_str())
            .bind(found.finding.severity.as_str())
            .bind(found.finding.path.as_str())
            .bind(now)
    });
    Ok(insert.await?)
}

async fn note_source_time(
    connection: &mut Connection,
    tenant: &TenantId,
    source: &SourceId,
    time: Timestamp,
) -> Result<(), StoreError> {
    const NEWER: &str = "UPDATE source SET newest_source_time = $1 WHERE tenant = $2 AND name = $3 \
        AND (newest_source_time IS NULL OR newest_source_time < $1)";
    sqlx::query(NEWER).bind(time.as_micros()).bind(tenant.as_str()).bind(source.as_str()).execute(connection).await?;
    Ok(())
}
