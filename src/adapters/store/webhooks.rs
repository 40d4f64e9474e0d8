//! Signed posts: each lands once, however often it is sent.

use super::landing::{Sealed, insert};
use super::{Store, StoreError};
use crate::access::WebhookProof;
use crate::domain::{Delivery, ReceiptId};

/// What became of a signed post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandedOnce {
    Landed,
    /// It came before, under this receipt; nothing was written.
    Before(ReceiptId),
}

impl Store {
    /// Lands a post and remembers it, together: it is neither lost nor taken twice, whenever we are interrupted.
    pub async fn land_once(&self, delivery: Delivery, proof: &WebhookProof) -> Result<LandedOnce, StoreError> {
        const FORGET: &str = "DELETE FROM webhook_seen WHERE expires_at < $1";
        const SEEN: &str = "SELECT receipt FROM webhook_seen WHERE tenant = $1 AND source = $2 AND digest = $3";
        const REMEMBER: &str = "INSERT INTO webhook_seen (tenant, source, digest, receipt, expires_at) \
            VALUES ($1, $2, $3, $4, $5)";
        let sealed = Sealed::seal(delivery)?;
        let delivery = sealed.delivery();
        let mut transaction = self.begin_write().await?;
        sqlx::query(FORGET).bind(delivery.received_at.as_micros()).execute(&mut *transaction).await?;
        let before: Option<String> = sqlx::query_scalar(SEEN)
            .bind(delivery.tenant.as_str())
            .bind(delivery.source.as_str())
            .bind(proof.digest())
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(receipt) = before {
            return Ok(LandedOnce::Before(ReceiptId::new(receipt)));
        }
        insert(&mut transaction, std::slice::from_ref(&sealed)).await?;
        sqlx::query(REMEMBER)
            .bind(delivery.tenant.as_str())
            .bind(delivery.source.as_str())
            .bind(proof.digest())
            .bind(delivery.receipt.as_str())
            .bind(proof.expires_at().as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.backlog.add(delivery.bytes.len());
        Ok(LandedOnce::Landed)
    }
}
