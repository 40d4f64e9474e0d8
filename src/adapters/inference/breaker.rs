//! Leaves a server alone that has failed several times in a row, and then tries it with one request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failed: u32,
    opened: Option<Instant>,
    trying: bool,
}

impl Breaker {
    /// Opens after so many failures in a row, for so long.
    pub fn new(failures: u32, rest: Duration) -> Self {
        Self { failures, rest, state: Mutex::default() }
    }

    /// Whether a request may be made now. After the rest one may; it decides.
    pub fn allows(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match state.opened {
            None => true,
            Some(opened) if now.duration_since(opened) >= self.rest && !state.trying => {
                state.trying = true;
                true
            }
            Some(_) => false,
        }
    }

    pub fn succeeded(&self) {
        *self.lock() = State::default();
    }

    pub fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failed += 1;
        state.trying = false;
        if state.failed >= self.failures {
            state.opened = Some(now);
        }
    }

    /// A request that was given up by its caller says nothing for or against the server.
    pub fn given_up(&self) {
        self.lock().trying = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Breaker;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try_after_the_rest() {
        let (breaker, start) = (Breaker::new(2, Duration::from_secs(30)), Instant::now());
        let later = start + Duration::from_secs(31);
        breaker.failed(start);
        assert!(breaker.allows(start));
        breaker.succeeded();
        breaker.failed(start);
        breaker.failed(start);
        assert!(!breaker.allows(start));
        assert!(breaker.allows(later));
        assert!(!breaker.allows(later), "only one tries");
        breaker.given_up();
        assert!(breaker.allows(later), "the next may try");
        breaker.failed(later);
        assert!(!breaker.allows(later));
        assert!(breaker.allows(later + Duration::from_secs(31)));
        breaker.succeeded();
        assert!(breaker.allows(later) && breaker.allows(later));
    }
}
