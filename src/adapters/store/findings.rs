//! Quality findings, for admins.

use sqlx::FromRow;

use super::{Store, StoreError};
use crate::access::Permit;
use crate::domain::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct StoredFinding {
    /// Orders findings and pages through them.
    pub cursor: String,
    pub source: String,
    pub document: Option<String>,
    pub rule: String,
    pub severity: String,
    pub path: String,
    pub found_at: Timestamp,
}

#[derive(FromRow)]
struct FindingRow {
    receipt: String,
    ordinal: i64,
    number: i64,
    source: String,
    document: Option<String>,
    rule: String,
    severity: String,
    path: String,
    found_at: i64,
}

impl Store {
    /// Findings in the order they were made, after `cursor`.
    pub async fn findings(
        &self,
        permit: &Permit,
        cursor: Option<&str>,
        limit: i64,
    ) -> Result<Vec<StoredFinding>, StoreError> {
        const PAGE: &str = "SELECT receipt, ordinal, number, source, document, rule, severity, path, found_at \
            FROM finding WHERE tenant = $1 AND (receipt > $2 OR (receipt = $2 AND (ordinal > $3 OR \
            (ordinal = $3 AND number > $4)))) ORDER BY receipt, ordinal, number LIMIT $5";
        let (receipt, ordinal, number) = cursor.and_then(position).unwrap_or(("", -1, -1));
        let rows: Vec<FindingRow> = sqlx::query_as(PAGE)
            .bind(permit.tenant().as_str())
            .bind(receipt)
            .bind(ordinal)
            .bind(number)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(StoredFinding::from).collect())
    }
}

/// A cursor is `receipt.ordinal.number`; one that isn't starts at the beginning.
fn position(cursor: &str) -> Option<(&str, i64, i64)> {
    let mut parts = cursor.splitn(3, '.');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl From<FindingRow> for StoredFinding {
    fn from(row: FindingRow) -> Self {
        Self {
            cursor: format!("{}.{}.{}", row.receipt, row.ordinal, row.number),
            source: row.source,
            document: row.document,
            rule: row.rule,
            severity: row.severity,
            path: row.path,
            found_at: Timestamp::from_micros(row.found_at),
        }
    }
}
