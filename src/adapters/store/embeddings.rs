//! Vectors by model revision and hash of the embedded text, so that no text is embedded twice.

use std::collections::HashMap;

use sqlx::QueryBuilder;

use super::sqlite::Engine;
use super::{Store, StoreError};
use crate::access::Upkeep;

/// Both engines take at least this many bound values in one statement.
const BATCH: usize = 500;

impl Store {
    /// The vectors that are known, by hash.
    pub async fn embeddings(
        &self,
        _upkeep: &Upkeep,
        model: &str,
        hashes: &[String],
    ) -> Result<HashMap<String, Vec<f32>>, StoreError> {
        let mut found = HashMap::new();
        for batch in hashes.chunks(BATCH) {
            let mut select: QueryBuilder<Engine> =
                QueryBuilder::new("SELECT hash, vector FROM embedding WHERE model = ");
            select.push_bind(model).push(" AND hash IN (");
            let mut names = select.separated(", ");
            for hash in batch {
                names.push_bind(hash);
            }
            names.push_unseparated(")");
            let rows: Vec<(String, Vec<u8>)> = select.build_query_as().fetch_all(&self.reader).await?;
            for (hash, bytes) in rows {
                found.insert(hash, vector(&bytes)?);
            }
        }
        Ok(found)
    }

    pub async fn keep_embeddings(
        &self,
        _upkeep: &Upkeep,
        model: &str,
        vectors: &[(String, Vec<f32>)],
    ) -> Result<(), StoreError> {
        if vectors.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_write().await?;
        for batch in vectors.chunks(BATCH) {
            let mut insert: QueryBuilder<Engine> = QueryBuilder::new("INSERT INTO embedding (model, hash, vector) ");
            insert.push_values(batch, |mut row, (hash, vector)| {
                row.push_bind(model).push_bind(hash).push_bind(bytes(vector));
            });
            insert.push(" ON CONFLICT (model, hash) DO NOTHING");
            insert.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn vector(bytes: &[u8]) -> Result<Vec<f32>, StoreError> {
    let (components, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(StoreError::Corrupt { what: "vector" });
    }
    Ok(components.iter().map(|component| f32::from_le_bytes(*component)).collect())
}
