//! Writes the rows of the audit trail, on a thread of its own with a connection of its own: every answer waits for its
//! row, and between the threads of a pool a row travels longer than it is written.
//!
//! Rows that come at once go into one transaction. It takes its turn with the other writers of this process, in the
//! pool's order: at the file's lock, whoever waits is overtaken by whoever comes at the right moment.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::anchors::{Anchor, Anchors};
use super::sqlite::{self, Pool};
use crate::domain::AuditRecord;

const QUEUE: usize = 1024;
const MOST_TOGETHER: usize = 256;

/// Rows go in behind the end that their hashes are chained to, or not at all: another process may have written since.
const APPEND: &str = "INSERT INTO audit (sequence, tenant, at, caller, client, purpose, class, break_glass, action, \
    patient, documents, outcome, request_id, hash) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
    value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
    value ->> 12, value ->> 13 FROM json_each(?1) WHERE (SELECT value FROM counter WHERE name = 'audit') = ?2";

/// The newest number, and the hash that the chain ends with.
const END: &str = "SELECT (SELECT value FROM counter WHERE name = 'audit'), \
    COALESCE((SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1), \
    (SELECT hash FROM audit_cut ORDER BY sequence DESC LIMIT 1))";

/// The way to the thread that writes; the thread ends with its last handle.
#[derive(Clone)]
pub(super) struct Auditing {
    queue: mpsc::Sender<Waiting>,
    connection: Shared,
}

/// Opened by the first row, and anew by the first after it was closed.
type Shared = Arc<Mutex<Option<Connection>>>;

struct Waiting {
    record: AuditRecord,
    told: oneshot::Sender<Result<(), StoreError>>,
}

impl Auditing {
    /// Within a runtime.
    pub fn begin(path: &Path, turns: Pool, anchors: Anchors) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let connection = Shared::default();
        let (path, end) = (path.to_owned(), None);
        let writer = Writer { path, connection: connection.clone(), runtime: Handle::current(), turns, anchors, end };
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(waiting))?;
        Ok(Self { queue, connection })
    }

    /// Writes the row behind all that were handed in before, and waits for the disk.
    pub async fn append(&self, record: AuditRecord) -> Result<(), StoreError> {
        let (told, hears) = oneshot::channel();
        self.queue.send(Waiting { record, told }).await.map_err(|_| StoreError::Stopped)?;
        hears.await.map_err(|_| StoreError::Stopped)?
    }

    pub fn close(&self) {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

struct Writer {
    path: PathBuf,
    connection: Shared,
    runtime: Handle,
    turns: Pool,
    anchors: Anchors,
    /// Where the chain ended last; `None` when that is not known.
    end: Option<Anchor>,
}

impl Writer {
    fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let runtime = self.runtime.clone();
        // A turn is given back by a task.
        let _within = runtime.enter();
        while let Some(first) = waiting.blocking_recv() {
            let mut together = vec![first];
            while together.len() < MOST_TOGETHER {
                let Ok(next) = waiting.try_recv() else { break };
                together.push(next);
            }
            let (records, tellers): (Vec<_>, Vec<_>) = together.into_iter().map(|one| (one.record, one.told)).unzip();
            let written = self.write(&records);
            let written = written.and_then(|head| self.anchors.set(&head).map_err(StoreError::Anchor));
            for told in tellers {
                // Who has gone away meanwhile needs no answer.
                let _ = told.send(if written.is_ok() { Ok(()) } else { Err(StoreError::Audit) });
            }
            if let Err(error) = written {
                tracing::error!(%error, "the audit trail could not be written");
            }
        }
    }

    /// Writes them in one statement, chained to what is there; gives the new end of the chain.
    fn write(&mut self, records: &[AuditRecord]) -> Result<Anchor, StoreError> {
        let _turn = self.runtime.block_on(self.turns.acquire())?;
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match held.take() {
            Some(connection) => connection,
            None => sqlite::open_near_writer(&self.path)?,
        };
        let connection = held.insert(connection);
        loop {
            let known = match self.end.take() {
                Some(known) => known,
                None => end_of_chain(connection)?,
            };
            let number = known.sequence;
            let (rows, next) = chained(records, known);
            if connection.prepare_cached(APPEND)?.execute(params![rows.to_string(), number])? > 0 {
                self.end = Some(next.clone());
                return Ok(next);
            }
        }
    }
}

fn end_of_chain(connection: &Connection) -> rusqlite::Result<Anchor> {
    connection.query_row(END, [], |row| {
        let hash: Option<String> = row.get(1)?;
        Ok(Anchor { sequence: row.get(0)?, hash: hash.unwrap_or_else(AuditRecord::genesis) })
    })
}

/// The rows as they are stored, in the order of the columns, and the end they make.
fn chained(records: &[AuditRecord], mut end: Anchor) -> (Value, Anchor) {
    let rows = records.iter().map(|record| {
        let record = AuditRecord { sequence: end.sequence + 1, ..record.clone() };
        end = Anchor { sequence: record.sequence, hash: record.hash(&end.hash) };
        json!([
            record.sequence,
            record.tenant,
            record.at.as_micros(),
            record.caller,
            record.client,
            record.purpose,
            record.class,
            record.break_glass,
            record.action,
            record.patient,
            record.documents,
            record.outcome,
            record.request_id,
            end.hash,
        ])
    });
    (rows.collect(), end)
}
