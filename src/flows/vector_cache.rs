//! Vectors of texts that were embedded last for somebody who waited, each kept for its caller alone.
//!
//! A vector tells nothing that its text didn't, but how fast it comes would tell whether somebody else has asked
//! the same: so tenant and caller are part of the key. Keys are digests; no text is held.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::access::Access;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(access: &Access, text: &str) -> Self {
        Self::of([access.tenant().as_str(), access.caller(), text])
    }

    /// Each part with its length before it, so that none can pass for the end of another.
    fn of(parts: [&str; 3]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

pub(super) struct VectorCache {
    /// Of so many texts; beyond, the oldest goes.
    texts: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    vectors: HashMap<Key, Vec<f32>>,
    /// In the order they came.
    keys: VecDeque<Key>,
}

impl VectorCache {
    pub(super) fn of(texts: usize) -> Self {
        Self { texts, held: Mutex::default() }
    }

    pub(super) fn get(&self, key: Key) -> Option<Vec<f32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).vectors.get(&key).cloned()
    }

    pub(super) fn keep(&self, key: Key, vector: &[f32]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.vectors.insert(key, vector.to_vec()).is_none() {
            held.keys.push_back(key);
        }
        if held.keys.len() > self.texts
            && let Some(oldest) = held.keys.pop_front()
        {
            held.vectors.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_found_by_the_one_who_asked_only() {
        let cache = VectorCache::of(4);
        cache.keep(Key::of(["north", "ann", "fever?"]), &[1.0]);
        assert_eq!(cache.get(Key::of(["north", "ann", "fever?"])), Some(vec![1.0]));
        for other in [["south", "ann", "fever?"], ["north", "bob", "fever?"], ["north", "annf", "ever?"]] {
            assert_eq!(cache.get(Key::of(other)), None, "{other:?}");
        }
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let cache = VectorCache::of(4);
        let key = |number: usize| Key::of(["t", "c", &number.to_string()]);
        for number in 0..7 {
            cache.keep(key(number), &[0.5]);
            cache.keep(key(number), &[0.5]);
        }
        let held = (0..7).filter(|number| cache.get(key(*number)).is_some());
        assert_eq!(held.collect::<Vec<_>>(), (3..7).collect::<Vec<_>>());
    }
}
