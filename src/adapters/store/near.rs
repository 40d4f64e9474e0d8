//! Reads that are made where they are asked for.
//!
//! A pooled connection lives on a thread of its own: each read wakes it and is woken by it, which takes longer than
//! to look up a few rows. What every request waits for goes this way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Result};

/// Connections that are kept for the next; more are opened while more read at once.
const KEPT: usize = 8;
const STATEMENTS: usize = 16;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that can only read.
#[derive(Clone)]
pub(super) struct Near {
    path: PathBuf,
    resting: Arc<Mutex<Vec<Connection>>>,
}

impl Near {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), resting: Arc::default() }
    }

    /// Blocks for as long as the read takes: for a few rows only, or off the threads that serve requests.
    pub fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let rested = self.resting().pop();
        let connection = rested.map_or_else(|| self.open(), Ok)?;
        let answer = ask(&connection)?;
        let mut resting = self.resting();
        if resting.len() < KEPT {
            resting.push(connection);
        }
        Ok(answer)
    }

    /// A read that comes later opens anew.
    pub fn close(&self) {
        self.resting().clear();
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Connection> {
        let connection = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}
