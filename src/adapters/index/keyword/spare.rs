//! Memory that one question is done with, lent to the next.
//!
//! Lists as long as a common word's are got from the operating system, zeroed, and given back to it each time.

use std::sync::{Mutex, PoisonError};

/// Kept for the questions to come; more are made while more are asked at once.
const KEPT: usize = 8;

pub struct Spare<T>(Mutex<Vec<Vec<T>>>);

impl<T> Spare<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// As it was given back.
    pub fn take(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub fn give_back(&self, memory: Vec<T>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && memory.capacity() > 0 {
            kept.push(memory);
        }
    }
}
