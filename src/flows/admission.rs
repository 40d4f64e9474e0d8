//! How much may be on its way in: bytes held in memory, and bytes that have landed and wait to be read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::adapters::store::Store;

/// What one place counts for; a semaphore counts in 32 bits.
const PLACE_BYTES: usize = 1024;
/// When to try again: bodies are read in moments, a backlog takes a while.
const RETRY_BODIES_S: u64 = 1;
const RETRY_BACKLOG_S: u64 = 30;

#[derive(Clone, Copy, Debug)]
pub struct IngestLimits {
    /// Bytes of deliveries held in memory at once, until they have landed.
    pub max_inflight_bytes: usize,
    /// Bytes that have landed and wait to be read.
    pub max_backlog_bytes: u64,
    /// Deliveries that have landed and wait to be read.
    pub max_backlog_deliveries: u64,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            max_inflight_bytes: 256 * 1024 * 1024,
            max_backlog_bytes: 2 * 1024 * 1024 * 1024,
            max_backlog_deliveries: 1_000_000,
        }
    }
}

/// Nothing more is taken in just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    #[error("too much is being received at once")]
    Bodies,
    #[error("too much has landed and waits to be read")]
    Backlog,
}

impl Busy {
    pub fn retry_after_s(self) -> u64 {
        match self {
            Self::Bodies => RETRY_BODIES_S,
            Self::Backlog => RETRY_BACKLOG_S,
        }
    }
}

/// Room for the bytes of one delivery; keep it as long as they are held in memory.
#[derive(Debug)]
pub struct Admission {
    room: OwnedSemaphorePermit,
    all: Arc<Semaphore>,
    /// All the places there are.
    most: usize,
}

impl Admission {
    /// Makes room for `bytes` in all, where more come than were announced.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Busy> {
        let missing = places(bytes).min(self.most).saturating_sub(self.room.num_permits());
        if missing > 0 {
            self.room.merge(take(&self.all, missing)?);
        }
        Ok(())
    }
}

/// Lets deliveries in as long as there is room.
#[derive(Clone)]
pub(super) struct Gate {
    store: Store,
    limits: IngestLimits,
    room: Arc<Semaphore>,
}

impl Gate {
    pub fn new(store: Store, limits: IngestLimits) -> Self {
        let places = places(limits.max_inflight_bytes).min(Semaphore::MAX_PERMITS);
        Self { store, limits, room: Arc::new(Semaphore::new(places)) }
    }

    /// Asked before a body is read. What is larger than all the room there is gets in when nothing else is.
    pub fn admit(&self, bytes: usize) -> Result<Admission, Busy> {
        let backlog = self.store.backlog();
        let is_full =
            backlog.bytes().saturating_add(bytes as u64) > self.limits.max_backlog_bytes && backlog.bytes() > 0;
        if is_full || backlog.deliveries() >= self.limits.max_backlog_deliveries {
            return Err(Busy::Backlog);
        }
        let most = places(self.limits.max_inflight_bytes);
        let room = take(&self.room, places(bytes).min(most))?;
        Ok(Admission { room, all: self.room.clone(), most })
    }
}

/// At least one: an empty body takes a request's memory too.
fn places(bytes: usize) -> usize {
    bytes.div_ceil(PLACE_BYTES).max(1)
}

fn take(room: &Arc<Semaphore>, places: usize) -> Result<OwnedSemaphorePermit, Busy> {
    let places = u32::try_from(places).map_err(|_| Busy::Bodies)?;
    room.clone().try_acquire_many_owned(places).map_err(|_| Busy::Bodies)
}
