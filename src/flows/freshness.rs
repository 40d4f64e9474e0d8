//! How old what is served is: each feed, and the index behind the store.

use std::sync::Arc;

use crate::access::{Access, Upkeep};
use crate::adapters::index::Index;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{Freshness, IndexFreshness, Timestamp};
use crate::telemetry::{Metrics, SourceLabel};

#[derive(Clone)]
pub struct FreshnessFlow {
    store: Store,
    index: Arc<Index>,
    metrics: Arc<Metrics>,
}

impl FreshnessFlow {
    pub fn new(store: Store, index: Arc<Index>, metrics: Arc<Metrics>) -> Self {
        Self { store, index, metrics }
    }

    pub fn run(&self, access: &Access) -> Result<Freshness, StoreError> {
        let now = Timestamp::now();
        let mut index = self.index_freshness(now)?;
        if !access.reach().is_tenant_wide() {
            (index.watermark, index.newest_change) = (None, None);
        }
        let mut feeds = self.store.feeds(access, now)?;
        if access.is_deidentified() {
            // The time of the newest record is the time of somebody's.
            (index.watermark, index.newest_change) = (None, None);
            for feed in &mut feeds {
                (feed.last_received_at, feed.newest_source_time, feed.age_s) = (None, None, None);
            }
        }
        Ok(Freshness { index, feeds })
    }

    /// Sets the gauges; called before each scrape.
    pub async fn measure(&self, upkeep: &Upkeep) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let index = self.index_freshness(now)?;
        self.metrics.index_watermark.set(index.watermark.unwrap_or(0));
        self.metrics.newest_change.set(index.newest_change.unwrap_or(0));
        self.metrics.index_lag.set(index.lag_s);
        self.metrics.index_chunks.set(self.index.snapshot().chunks() as i64);
        let gauge = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        self.metrics.deliveries_failed.set(gauge(self.store.deliveries_set_aside(upkeep).await?));
        self.metrics.backlog_deliveries.set(gauge(self.store.backlog().deliveries()));
        self.metrics.backlog_bytes.set(gauge(self.store.backlog().bytes()));
        for tenant in self.store.tenants(upkeep).await? {
            for feed in self.store.feeds_for_metrics(upkeep, &tenant, now)? {
                let label = SourceLabel { source: feed.source.to_string() };
                self.metrics.source_age.get_or_create(&label).set(feed.age_s.unwrap_or(-1));
            }
        }
        Ok(())
    }

    fn index_freshness(&self, now: Timestamp) -> Result<IndexFreshness, StoreError> {
        let watermark = self.index.watermark();
        let newest_change = self.store.newest_change()?;
        let oldest = match newest_change > watermark {
            true => self.store.oldest_change_after(watermark)?,
            false => None,
        };
        let lag_s = oldest.map_or(0, |at| now.seconds_since(at).max(0));
        Ok(IndexFreshness { watermark: Some(watermark), newest_change: Some(newest_change), lag_s })
    }
}
