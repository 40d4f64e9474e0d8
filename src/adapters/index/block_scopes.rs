//! Which rows of one block lie within a broad scope, kept for the next query that asks the same.
//!
//! A block never changes, so what was found for it stays right; rows that went since are masked afterwards. The key is
//! everything that decides: tenant, windows, clearance and filters, so no caller is ever served another's reach.

use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Access, Act, Clearance, Window};
use crate::domain::{Filters, TenantId};

/// Scopes remembered; the one not asked for longest goes.
const REMEMBERED: usize = 16;

/// Everything that decides which rows a caller sees under a filter, in one form however it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeKey {
    pub tenant: TenantId,
    pub windows: Vec<Window>,
    pub clearance: Clearance,
    pub filters: Filters,
}

impl ScopeKey {
    pub fn of(access: &Access, filters: &Filters) -> Self {
        let mut filters = filters.clone();
        filters.kinds.sort_unstable();
        filters.kinds.dedup();
        filters.sources.sort_unstable();
        filters.sources.dedup();
        filters.sections.iter_mut().for_each(|title| title.make_ascii_lowercase());
        filters.sections.sort_unstable();
        filters.sections.dedup();
        Self {
            tenant: access.tenant().clone(),
            windows: access.reach().windows(Act::Search).cloned().collect(),
            clearance: access.reach().clearance().clone(),
            filters,
        }
    }
}

/// What was found for the scopes asked for last.
pub struct Remembered<T>(Mutex<Vec<(Arc<ScopeKey>, Arc<T>)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Remembered<T> {
    pub fn get_or(&self, key: &Arc<ScopeKey>, find: impl FnOnce() -> T) -> Arc<T> {
        if let Some(found) = self.get(key) {
            return found;
        }
        // Found without the lock: others go on, and at worst find the same thing twice.
        let found = Arc::new(find());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED {
            held.remove(0);
        }
        held.push((key.clone(), found.clone()));
        found
    }

    fn get(&self, key: &ScopeKey) -> Option<Arc<T>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|(held, _)| **held == *key)?;
        let entry = held.remove(at);
        let found = entry.1.clone();
        held.push(entry);
        Some(found)
    }
}

/// For each scope, its rows of the block as words, the first of them the block's own first.
pub type BlockScopes = Remembered<Vec<u64>>;
