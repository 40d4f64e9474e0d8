//! What records would come to: judged as they would be, against what is held, and never written.

use std::collections::HashMap;

use super::known::Known;
use super::outcomes::{DeliverySlice, Effect, NormalizedDelivery, Tally, take_in};
use super::sqlite::WriteTransaction;
use super::{Store, StoreError};
use crate::domain::{Account, TenantId};

/// One snapshot of the store, and what the deliveries rehearsed so far would have made of it.
pub struct Rehearsal {
    snapshot: WriteTransaction<'static>,
    known: HashMap<TenantId, Known>,
}

impl Store {
    /// Reads only: the one writer isn't waited for.
    pub async fn rehearse(&self) -> Result<Rehearsal, StoreError> {
        Ok(Rehearsal { snapshot: self.reader.begin().await?, known: HashMap::new() })
    }
}

impl Rehearsal {
    /// What a delivery would come to after those before it.
    pub async fn add(&mut self, normalized: &NormalizedDelivery<'_>) -> Result<Account, StoreError> {
        let tenant = &normalized.delivery.tenant;
        let known = self.known.entry(tenant.clone()).or_default();
        let slices = [DeliverySlice::whole(normalized.delivery, &normalized.records)];
        let mut tallies = [Some(Tally::default())];
        take_in(&mut self.snapshot, Effect::Rehearsed, tenant, known, &slices, &mut tallies).await?;
        let [tally] = tallies;
        Ok(tally.unwrap_or_default().account)
    }
}
