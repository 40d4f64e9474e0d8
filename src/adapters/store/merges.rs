//! Two records of one person: who belongs to whom, and the documents that move for it.
//!
//! Of each patient the latest statement ("A is B") is kept. Where statements run in a circle the oldest of the
//! circle is passed over. So who a patient belongs to follows from the statements alone, whatever their order.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};

use super::StoreError;
use super::bulk::ListStatement;
use super::flush::{demote, number_changes};
use super::known::Known;
use super::ledger::{Changed, Origin};
use super::sqlite::{Connection, Engine};
use crate::domain::{DocumentId, PatientId, PatientMerge, TenantId, Timestamp};

/// The latest that was said of one patient, and whom that makes its records belong to.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
struct Statement {
    merged: String,
    stated: String,
    survivor: String,
    merged_at: i64,
}

/// Patients whose records pass from one to another together.
#[derive(Debug, PartialEq, Eq)]
struct Regrouping {
    patients: Vec<PatientId>,
    from: PatientId,
    to: PatientId,
}

/// What a merge came to.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Whether anything was said that wasn't known.
    pub is_news: bool,
    /// Documents that became new versions under another patient.
    pub documents: u64,
    pub facts: u64,
    pub last_change: Option<i64>,
}

/// Once each: a list is filled up by repeating its last item.
static MOVE: ListStatement = ListStatement::new(
    "WITH wanted (id, version) AS (VALUES",
    2,
    ") INSERT INTO document (tenant, id, version, is_latest, source, source_key, source_version, kind, resource_type, \
     patient, stated_patient, part_of, encounter, title, author, effective_at, source_time, received_at, \
     confidentiality, sensitivity, codes, status, text, sections, pages, content_hash, receipt, ordinal) \
     SELECT d.tenant, d.id, d.version + 1, 1, d.source, d.source_key, d.source_version, d.kind, d.resource_type, ?, \
     NULLIF(COALESCE(d.stated_patient, d.patient), ?), d.part_of, d.encounter, d.title, d.author, d.effective_at, \
     d.source_time, d.received_at, d.confidentiality, d.sensitivity, d.codes, d.status, d.text, d.sections, d.pages, \
     d.content_hash, d.receipt, d.ordinal \
     FROM (SELECT DISTINCT id, version FROM wanted) w \
     JOIN document d ON d.tenant = ? AND d.id = w.id AND d.version = w.version",
);

static MOVE_FACTS: ListStatement = ListStatement::new(
    "WITH wanted (id, version) AS (VALUES",
    2,
    ") INSERT INTO fact (tenant, document, version, ordinal, kind, code_system, code, display, value_number, \
     value_text, unit, status, effective_at, span_start, span_end) \
     SELECT f.tenant, f.document, f.version + 1, f.ordinal, f.kind, f.code_system, f.code, f.display, \
     f.value_number, f.value_text, f.unit, f.status, f.effective_at, f.span_start, f.span_end \
     FROM (SELECT DISTINCT id, version FROM wanted) w \
     JOIN fact f ON f.tenant = ? AND f.document = w.id AND f.version = w.version",
);

/// Applies a merge. What was decided before must have been written.
pub(super) async fn apply(
    connection: &mut Connection,
    tenant: &TenantId,
    known: &mut Known,
    origin: Origin<'_>,
    merge: &PatientMerge,
) -> Result<Merged, StoreError> {
    let mut merged = Merged::default();
    let at = merge.at.unwrap_or(origin.delivery.received_at);
    let before = statement(connection, tenant, merge.merged.as_str()).await?;
    if merge.merged == merge.survivor || !is_news(before.as_ref(), at, merge) {
        return Ok(merged);
    }
    merged.is_news = true;
    let to = statement(connection, tenant, merge.survivor.as_str()).await?;
    let to = to.map_or_else(|| merge.survivor.clone(), |statement| PatientId::new(statement.survivor));
    let is_simple = before.is_none() && to != merge.merged;
    let survivor = before.map_or_else(|| merge.merged.clone(), |before| PatientId::new(before.survivor));
    keep(connection, tenant, origin, merge, at, if is_simple { &to } else { &survivor }).await?;
    let regroupings = if is_simple {
        vec![join(connection, tenant, &merge.merged, to).await?]
    } else {
        recompute(connection, tenant, merge.merged.as_str()).await?
    };
    for regrouping in &regroupings {
        known.regroup(&regrouping.patients, &regrouping.to);
        move_documents(connection, tenant, known, origin, regrouping, &mut merged).await?;
    }
    Ok(merged)
}

/// What a merge would come to, without writing it: all that stands under the merged patient would move.
pub(super) async fn rehearse(
    connection: &mut Connection,
    tenant: &TenantId,
    known: &mut Known,
    origin: Origin<'_>,
    merge: &PatientMerge,
) -> Result<Merged, StoreError> {
    let at = merge.at.unwrap_or(origin.delivery.received_at);
    let before = statement(connection, tenant, merge.merged.as_str()).await?;
    let is_news = is_news(before.as_ref(), at, merge) && known.say(merge, at);
    let (from, to) = (known.survivor(&merge.merged).clone(), known.survivor(&merge.survivor).clone());
    if merge.merged == merge.survivor || !is_news || from == to {
        return Ok(Merged { is_news: is_news && merge.merged != merge.survivor, ..Merged::default() });
    }
    let mut patients = known.merged_into(&from);
    patients.push(from.clone());
    let stored = documents_of(connection, tenant, &from).await?;
    let stored = stored.into_iter().filter(|held| !known.knows(&held.id)).count();
    let met: Vec<(DocumentId, i64)> =
        known.documents_of(&from).map(|(id, held)| (id.clone(), held.version + 1)).collect();
    met.iter().for_each(|(id, version)| known.moved(id, *version, &to));
    known.regroup(&patients, &to);
    Ok(Merged { is_news, documents: (stored + met.len()) as u64, ..Merged::default() })
}

/// Of two statements the later one holds; of two of one moment always the same.
fn is_news(before: Option<&Statement>, at: Timestamp, merge: &PatientMerge) -> bool {
    before.is_none_or(|before| (before.merged_at, before.stated.as_str()) < (at.as_micros(), merge.survivor.as_str()))
}

async fn statement(
    connection: &mut Connection,
    tenant: &TenantId,
    patient: &str,
) -> Result<Option<Statement>, StoreError> {
    const ONE: &str = "SELECT merged, stated, survivor, merged_at FROM patient_merge WHERE tenant = $1 AND merged = $2";
    Ok(sqlx::query_as(ONE).bind(tenant.as_str()).bind(patient).fetch_optional(connection).await?)
}

async fn keep(
    connection: &mut Connection,
    tenant: &TenantId,
    origin: Origin<'_>,
    merge: &PatientMerge,
    at: Timestamp,
    survivor: &PatientId,
) -> Result<(), StoreError> {
    const KEEP: &str = "INSERT INTO patient_merge (tenant, merged, stated, survivor, merged_at, receipt) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, merged) DO UPDATE SET stated = excluded.stated, \
        survivor = excluded.survivor, merged_at = excluded.merged_at, receipt = excluded.receipt";
    sqlx::query(KEEP)
        .bind(tenant.as_str())
        .bind(merge.merged.as_str())
        .bind(merge.survivor.as_str())
        .bind(survivor.as_str())
        .bind(at.as_micros())
        .bind(origin.delivery.receipt.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The usual case: of `merged` nothing was said before, and what it joins doesn't lead back to it.
async fn join(
    connection: &mut Connection,
    tenant: &TenantId,
    merged: &PatientId,
    to: PatientId,
) -> Result<Regrouping, StoreError> {
    const FOLLOW: &str = "UPDATE patient_merge SET survivor = $1 WHERE tenant = $2 AND survivor = $3 RETURNING merged";
    let followers: Vec<String> = sqlx::query_scalar(FOLLOW)
        .bind(to.as_str())
        .bind(tenant.as_str())
        .bind(merged.as_str())
        .fetch_all(connection)
        .await?;
    let patients = followers.into_iter().map(PatientId::new).chain([merged.clone()]).collect();
    Ok(Regrouping { patients, from: merged.clone(), to })
}

/// Finds anew whom each patient belongs to that is tied to `patient` by any statements.
async fn recompute(
    connection: &mut Connection,
    tenant: &TenantId,
    patient: &str,
) -> Result<Vec<Regrouping>, StoreError> {
    const FOLLOW: &str = "UPDATE patient_merge SET survivor = $1 WHERE tenant = $2 AND merged = $3";
    let statements = tied(connection, tenant, patient).await?;
    let survivors = survivors(&statements);
    let mut regrouped: BTreeMap<(&str, &str), Vec<PatientId>> = BTreeMap::new();
    for statement in &statements {
        let now = survivors.get(statement.merged.as_str()).copied().unwrap_or(&statement.merged);
        if statement.survivor != now {
            let follow = sqlx::query(FOLLOW).bind(now).bind(tenant.as_str()).bind(statement.merged.as_str());
            follow.execute(&mut *connection).await?;
            let patients = regrouped.entry((statement.survivor.as_str(), now)).or_default();
            patients.push(PatientId::new(statement.merged.as_str()));
        }
    }
    let regrouping = |((from, to), patients): ((&str, &str), Vec<PatientId>)| Regrouping {
        patients,
        from: PatientId::new(from),
        to: PatientId::new(to),
    };
    Ok(regrouped.into_iter().map(regrouping).collect())
}

/// Every statement that is tied to this patient, by whatever chain.
async fn tied(connection: &mut Connection, tenant: &TenantId, patient: &str) -> Result<Vec<Statement>, StoreError> {
    let mut found: BTreeMap<String, Statement> = BTreeMap::new();
    let mut seen = BTreeSet::from([patient.to_owned()]);
    let mut frontier = vec![patient.to_owned()];
    while !frontier.is_empty() {
        let asked: Vec<String> = frontier.drain(..frontier.len().min(200)).collect();
        let mut select: QueryBuilder<Engine> =
            QueryBuilder::new("SELECT merged, stated, survivor, merged_at FROM patient_merge WHERE tenant = ");
        select.push_bind(tenant.as_str()).push(" AND (merged IN (");
        asked.iter().fold(select.separated(", "), |mut list, id| {
            list.push_bind(id);
            list
        });
        select.push(") OR stated IN (");
        asked.iter().fold(select.separated(", "), |mut list, id| {
            list.push_bind(id);
            list
        });
        select.push("))");
        let rows: Vec<Statement> = select.build_query_as().fetch_all(&mut *connection).await?;
        for row in rows {
            for id in [&row.merged, &row.stated] {
                if seen.insert(id.clone()) {
                    frontier.push(id.clone());
                }
            }
            found.insert(row.merged.clone(), row);
        }
    }
    Ok(found.into_values().collect())
}

/// Whom each patient belongs to that something was said of: the end of its chain of statements.
fn survivors(statements: &[Statement]) -> BTreeMap<&str, &str> {
    let mut next: BTreeMap<&str, &Statement> =
        statements.iter().map(|statement| (statement.merged.as_str(), statement)).collect();
    while let Some(circle) = circle(&next) {
        let oldest = circle.iter().min_by_key(|statement| (statement.merged_at, &statement.merged));
        let Some(oldest) = oldest else { break };
        next.remove(oldest.merged.as_str());
    }
    let end = |patient| {
        let mut last: &str = patient;
        while let Some(statement) = next.get(last) {
            last = &statement.stated;
        }
        last
    };
    statements.iter().map(|statement| (statement.merged.as_str(), end(&statement.merged))).collect()
}

/// Statements that lead back to where they began, if any do.
fn circle<'s>(next: &BTreeMap<&'s str, &'s Statement>) -> Option<Vec<&'s Statement>> {
    let mut clear: HashSet<&str> = HashSet::new();
    for start in next.keys() {
        let mut path: Vec<&Statement> = Vec::new();
        let mut on_path: HashSet<&str> = HashSet::new();
        let mut at: &str = start;
        while let Some(statement) = next.get(at) {
            if clear.contains(at) {
                break;
            }
            if !on_path.insert(at) {
                let begins = path.iter().position(|passed| passed.merged == at).unwrap_or(0);
                return Some(path.split_off(begins));
            }
            path.push(statement);
            at = &statement.stated;
        }
        clear.extend(on_path);
    }
    None
}

#[derive(FromRow)]
struct MovingRow {
    id: String,
    version: i64,
    stated: String,
}

struct Moving {
    id: DocumentId,
    version: i64,
    stated: PatientId,
}

async fn documents_of(
    connection: &mut Connection,
    tenant: &TenantId,
    patient: &PatientId,
) -> Result<Vec<Moving>, StoreError> {
    const HELD: &str = "SELECT id, version, COALESCE(stated_patient, patient) AS stated FROM document \
        WHERE tenant = $1 AND patient = $2 AND is_latest = 1 AND status <> 'deleted'";
    let rows: Vec<MovingRow> =
        sqlx::query_as(HELD).bind(tenant.as_str()).bind(patient.as_str()).fetch_all(connection).await?;
    let moving = |row: MovingRow| Moving {
        id: DocumentId::new(row.id),
        version: row.version,
        stated: PatientId::new(row.stated),
    };
    let mut documents: Vec<Moving> = rows.into_iter().map(moving).collect();
    // Sorted here: asked to sort, the database walks all of the tenant in the order of ids.
    documents.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(documents)
}

/// The documents that name one of these patients become new versions under the other.
async fn move_documents(
    connection: &mut Connection,
    tenant: &TenantId,
    known: &mut Known,
    origin: Origin<'_>,
    regrouping: &Regrouping,
    merged: &mut Merged,
) -> Result<(), StoreError> {
    let patients: HashSet<&PatientId> = regrouping.patients.iter().collect();
    let mut moving = documents_of(connection, tenant, &regrouping.from).await?;
    moving.retain(|document| patients.contains(&document.stated));
    let keys: Vec<(DocumentId, i64)> = moving.into_iter().map(|document| (document.id, document.version)).collect();
    demote(connection, tenant, &keys).await?;
    let to = regrouping.to.as_str();
    for (text, batch) in MOVE.batches(&keys) {
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for (id, version) in batch {
            insert = insert.bind(id.as_str()).bind(*version);
        }
        insert.bind(to).bind(to).bind(tenant.as_str()).execute(&mut *connection).await?;
    }
    for (text, batch) in MOVE_FACTS.batches(&keys) {
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for (id, version) in batch {
            insert = insert.bind(id.as_str()).bind(*version);
        }
        merged.facts += insert.bind(tenant.as_str()).execute(&mut *connection).await?.rows_affected();
    }
    let changed = |(id, version): &(DocumentId, i64)| Changed { origin, id: id.clone(), version: version + 1 };
    let changes: Vec<Changed<'_>> = keys.iter().map(changed).collect();
    number_changes(connection, tenant, &changes, &mut |_, sequence| merged.last_change = Some(sequence)).await?;
    merged.documents += changes.len() as u64;
    changes.iter().for_each(|change| known.moved(&change.id, change.version, &regrouping.to));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Statement, survivors};

    fn said(merged: &str, stated: &str, at: i64) -> Statement {
        Statement { merged: merged.to_owned(), stated: stated.to_owned(), survivor: merged.to_owned(), merged_at: at }
    }

    #[test]
    fn a_chain_leads_to_its_end() {
        let statements = [said("a", "b", 1), said("b", "c", 2), said("x", "b", 3)];
        assert_eq!(survivors(&statements), BTreeMap::from([("a", "c"), ("b", "c"), ("x", "c")]));
    }

    #[test]
    fn of_a_circle_the_oldest_statement_is_passed_over() {
        let statements = [said("a", "b", 1), said("b", "a", 2), said("c", "b", 3)];
        assert_eq!(survivors(&statements), BTreeMap::from([("a", "a"), ("b", "a"), ("c", "a")]));
        let statements = [said("a", "b", 9), said("b", "c", 4), said("c", "a", 5)];
        assert_eq!(survivors(&statements), BTreeMap::from([("a", "b"), ("b", "b"), ("c", "b")]));
    }
}
