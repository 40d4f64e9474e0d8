//! Writes the rows of the audit trail.
//!
//! A row is written where it is asked for, in less time than it takes to wake another thread, and so is with the
//! operating system before the answer leaves: the end of this process loses none. A thread brings it to the disk. A read
//! doesn't wait for that unless it is told to, it is the first, or the disk failed the rows before; a write, an act of an
//! administrator and whoever breaks the glass do.
//!
//! Where somebody else is writing (another row, another process, whoever removes old rows) the row goes to that thread
//! instead, which waits.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::anchors::{Anchor, Anchors};
use super::{StoreError, sqlite, trail};
use crate::domain::AuditRecord;

const QUEUE: usize = 1024;
const MOST_TOGETHER: usize = 256;
/// How long rows of reads wait for others before they are brought to the disk.
const SOON: Duration = Duration::from_millis(50);
/// Rows after which the log is folded into the database: nobody else does it.
const FOLD_EVERY: i64 = 4_096;

/// A row goes in behind the end that its hash is chained to, or not at all: another process may have written since. Where
/// that end was taken away it goes in all the same, and leaves the gap to be seen.
const APPEND: &str = "INSERT INTO audit (sequence, tenant, at, caller, client, purpose, class, break_glass, action, \
    patient, documents, outcome, request_id, hash) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 \
    WHERE COALESCE((SELECT MAX(sequence) FROM audit), (SELECT MAX(sequence) FROM audit_cut), 0) <= ?15";

/// The newest row and its hash, else those of the last that was removed.
const END: &str = "SELECT sequence, hash FROM audit UNION ALL SELECT sequence, hash FROM audit_cut \
    ORDER BY sequence DESC LIMIT 1";

/// The thread that brings rows to the disk ends with the last handle.
#[derive(Clone)]
pub(super) struct Auditing {
    chain: Arc<Mutex<Chain>>,
    queue: mpsc::Sender<Message>,
    reads_wait: bool,
    /// Whether rows of reads will be brought to the disk without another word.
    is_due: Arc<AtomicBool>,
    is_proved: Proved,
}

/// Whether the rows before were brought to the disk, and the end of the trail noted.
type Proved = Arc<AtomicBool>;

enum Message {
    /// A row that could not be written where it was asked for; whether it waits for the disk, too.
    Write { record: Box<AuditRecord>, waits: bool, told: Told },
    /// Rows were written; who waits until they are on the disk.
    Sync(Option<Told>),
}

type Told = oneshot::Sender<Result<(), StoreError>>;

impl Auditing {
    pub fn begin(path: &Path, anchors: Anchors, reads_wait: bool) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let noted = anchors.head().map_err(StoreError::Anchor)?;
        let chain = Arc::new(Mutex::new(Chain::new(path, noted)));
        let is_proved = Proved::default();
        let keeper = Keeper {
            path: path.to_owned(),
            chain: chain.clone(),
            anchors,
            anchored: 0,
            folded: None,
            is_proved: is_proved.clone(),
        };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || keeper.run(messages));
        thread.map_err(StoreError::Thread)?;
        Ok(Self { chain, queue, reads_wait, is_due: Arc::default(), is_proved })
    }

    /// Writes the row behind all that were written before.
    pub async fn append(&self, record: AuditRecord) -> Result<(), StoreError> {
        let waits = self.reads_wait || record.class != "read" || !self.is_proved.load(Ordering::Acquire);
        match self.append_here(&record) {
            Some(Ok(())) if waits => self.sync().await,
            Some(Ok(())) => {
                self.sync_soon();
                Ok(())
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the audit trail could not be written");
                Err(StoreError::Audit)
            }
            None => {
                let (told, hears) = oneshot::channel();
                self.ask(Message::Write { record: Box::new(record), waits, told }, hears).await
            }
        }
    }

    /// Has what was written brought to the disk together with what comes meanwhile. To wake a thread takes long, so this
    /// one does it later, when the answer has left.
    fn sync_soon(&self) {
        if self.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (queue, is_due) = (self.queue.clone(), self.is_due.clone());
        tokio::spawn(async move {
            tokio::time::sleep(SOON).await;
            is_due.store(false, Ordering::Release);
            // Once nobody takes it any more, the thread is at its end, and so is what it had to do.
            let _ = queue.send(Message::Sync(None)).await;
        });
    }

    /// Waits until every row that was written is on the disk, and the end of the trail noted.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let (told, hears) = oneshot::channel();
        self.ask(Message::Sync(Some(told)), hears).await
    }

    pub async fn close(&self) {
        // What went wrong has been told in the log.
        let _ = self.sync().await;
        // The log goes with its last connection, and the next one has to be proved anew.
        self.is_proved.store(false, Ordering::Release);
        locked(&self.chain).connection = None;
    }

    async fn ask(&self, message: Message, hears: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
        self.queue.send(message).await.map_err(|_| StoreError::Stopped)?;
        hears.await.map_err(|_| StoreError::Stopped)?
    }

    /// `None` where somebody else is writing.
    fn append_here(&self, record: &AuditRecord) -> Option<Result<(), StoreError>> {
        let mut chain = self.chain.try_lock().ok()?;
        match chain.append(std::slice::from_ref(record), Duration::ZERO) {
            Err(error) if sqlite::is_busy(&error) => None,
            written => Some(written.map_err(StoreError::Near)),
        }
    }
}

/// The end of the trail, and the connection that appends to it.
struct Chain {
    path: PathBuf,
    /// Opened by the first row, and anew by the first after it was closed.
    connection: Option<Connection>,
    /// What the anchors knew of the end at the start. The first row goes in behind it even if rows were cut since, so
    /// that a gap shows it: the anchor itself will be written over.
    noted: Option<Anchor>,
    /// `None` before the first row.
    end: Option<Anchor>,
}

impl Chain {
    fn new(path: &Path, noted: Option<Anchor>) -> Self {
        Self { path: path.to_owned(), connection: None, noted, end: None }
    }

    /// Appends them in one transaction, chained to what is there.
    fn append(&mut self, records: &[AuditRecord], patience: Duration) -> rusqlite::Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(sqlite::open_near_writer(&self.path)?),
        };
        connection.busy_timeout(patience)?;
        // A failure leaves the end as it was known: should it be another by then, nothing goes in behind it.
        let mut end = match self.end.as_ref().or(self.noted.as_ref()) {
            Some(end) => end.clone(),
            None => end_of_chain(connection)?,
        };
        loop {
            if let Some(next) = append_behind(connection, records, end)? {
                self.end = Some(next);
                return Ok(());
            }
            end = end_of_chain(connection)?;
        }
    }
}

/// The new end; `None` when it was another than this.
fn append_behind(
    connection: &mut Connection,
    records: &[AuditRecord],
    mut end: Anchor,
) -> rusqlite::Result<Option<Anchor>> {
    // One statement is a transaction by itself.
    let transaction = match records {
        [record] => {
            let next = following(record, &end);
            return Ok(insert(connection, record, &end, &next)?.then_some(next));
        }
        _ => connection.transaction_with_behavior(TransactionBehavior::Immediate)?,
    };
    for record in records {
        let next = following(record, &end);
        if !insert(&transaction, record, &end, &next)? {
            return Ok(None);
        }
        end = next;
    }
    transaction.commit()?;
    Ok(Some(end))
}

fn following(record: &AuditRecord, end: &Anchor) -> Anchor {
    let sequence = end.sequence + 1;
    Anchor { sequence, hash: AuditRecord { sequence, ..record.clone() }.hash(&end.hash) }
}

fn insert(connection: &Connection, record: &AuditRecord, end: &Anchor, next: &Anchor) -> rusqlite::Result<bool> {
    let inserted = connection.prepare_cached(APPEND)?.execute(params![
        next.sequence,
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
        next.hash,
        end.sequence,
    ])?;
    Ok(inserted > 0)
}

fn locked(chain: &Mutex<Chain>) -> MutexGuard<'_, Chain> {
    chain.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings rows to the disk, and writes those that have to wait.
struct Keeper {
    path: PathBuf,
    chain: Arc<Mutex<Chain>>,
    anchors: Anchors,
    /// The number up to which the trail is anchored.
    anchored: i64,
    /// The one after which the log was folded last, or since which we count.
    folded: Option<i64>,
    is_proved: Proved,
}

impl Keeper {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(first) = messages.blocking_recv() {
            let mut together = vec![first];
            while together.len() < MOST_TOGETHER {
                let Ok(next) = messages.try_recv() else { break };
                together.push(next);
            }
            self.take(together);
        }
    }

    fn take(&mut self, messages: Vec<Message>) {
        let (mut records, mut writers, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Write { record, waits, told } => {
                    records.push(*record);
                    writers.push((waits, told));
                }
                Message::Sync(told) => waiting.extend(told),
            }
        }
        let written = if records.is_empty() { Ok(()) } else { self.append(&records) };
        let is_written = note(&written, "the audit trail could not be written");
        let (patient, hasty): (Vec<_>, Vec<_>) = writers.into_iter().partition(|(waits, _)| *waits);
        tell(hasty.into_iter().map(|(_, told)| told), is_written);
        let synced = self.sync();
        let is_synced = note(&synced, "the audit trail could not be brought to the disk");
        self.is_proved.store(is_synced && self.anchored > 0, Ordering::Release);
        tell(patient.into_iter().map(|(_, told)| told), is_written && is_synced);
        tell(waiting, is_synced);
        self.fold();
    }

    fn append(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        Ok(locked(&self.chain).append(records, sqlite::BUSY_TIMEOUT)?)
    }

    /// The end is noted once it is on the disk: the anchors never know of a row that could still be lost.
    fn sync(&mut self) -> Result<(), StoreError> {
        let Some(end) = locked(&self.chain).end.clone() else { return Ok(()) };
        if end.sequence <= self.anchored {
            return Ok(());
        }
        match File::open(sqlite::log_of(&self.path)) {
            Ok(log) => log.sync_data().map_err(StoreError::Log)?,
            // Folded into the database, which was synced for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::Log(error)),
        }
        if !self.is_proved.load(Ordering::Acquire) {
            trail::sync_folder(&self.path).map_err(StoreError::Log)?;
        }
        self.anchors.set(&end).map_err(StoreError::Anchor)?;
        self.anchored = end.sequence;
        Ok(())
    }

    /// Nobody waits for this.
    fn fold(&mut self) {
        let folded = *self.folded.get_or_insert(self.anchored);
        if self.anchored - folded >= FOLD_EVERY {
            self.folded = Some(self.anchored);
            note(&sqlite::fold_log(&self.path).map_err(StoreError::Near), "the log could not be folded");
        }
    }
}

fn note(done: &Result<(), StoreError>, failure: &'static str) -> bool {
    if let Err(error) = done {
        tracing::error!(%error, "{failure}");
    }
    done.is_ok()
}

fn tell(waiting: impl IntoIterator<Item = Told>, is_done: bool) {
    for told in waiting {
        // Who has gone away meanwhile needs no answer.
        let _ = told.send(if is_done { Ok(()) } else { Err(StoreError::Audit) });
    }
}

fn end_of_chain(connection: &Connection) -> rusqlite::Result<Anchor> {
    let end = connection.query_row(END, [], |row| {
        let hash: Option<String> = row.get(1)?;
        Ok(Anchor { sequence: row.get(0)?, hash: hash.unwrap_or_else(AuditRecord::genesis) })
    });
    Ok(end.optional()?.unwrap_or_else(|| Anchor { sequence: 0, hash: AuditRecord::genesis() }))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use rusqlite::TransactionBehavior;
    use tempfile::TempDir;

    use super::{Chain, sqlite, trail};
    use crate::access::Upkeep;
    use crate::adapters::store::test_records::record;
    use crate::adapters::store::{AuditRow, Store, Stranger};
    use crate::domain::{AuditFault, Timestamp};

    async fn opened() -> (TempDir, Store) {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&store_in(folder.path())).await.unwrap();
        (folder, store)
    }

    fn store_in(folder: &Path) -> PathBuf {
        folder.join("store.sqlite")
    }

    async fn read(store: &Store) {
        let who = Stranger { tenant: "north", caller: "reader", class: "read" };
        let row = AuditRow { action: "search", patient: None, documents: &[], outcome: "success", request_id: "1" };
        store.audit_stranger(&who, &row).await.unwrap();
    }

    /// Whoever waits for the rows before to be on the disk waits for that end.
    #[tokio::test]
    async fn a_row_that_finds_the_database_busy_leaves_the_end_known() {
        let (folder, store) = opened().await;
        let path = trail::path_of(&store_in(folder.path()));
        let mut chain = Chain::new(&path, None);
        let end = |chain: &Chain| chain.end.as_ref().map(|end| end.sequence);
        chain.append(&[record(0)], Duration::ZERO).unwrap();
        let mut other = sqlite::open_near_writer(&path).unwrap();
        let writing = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        assert!(sqlite::is_busy(&chain.append(&[record(0)], Duration::ZERO).unwrap_err()));
        assert_eq!(end(&chain), Some(1));
        writing.rollback().unwrap();
        // Another process appends meanwhile; then several at once.
        Chain::new(&path, None).append(&[record(0)], Duration::ZERO).unwrap();
        chain.append(&[record(0), record(0)], Duration::ZERO).unwrap();
        assert_eq!(end(&chain), Some(4));
        let verdict = store.verify_audit(&Upkeep::begin()).await.unwrap();
        assert_eq!((verdict.rows, verdict.last), (4, Some(4)));
    }

    #[tokio::test]
    async fn a_row_is_written_while_records_are_taken_in() {
        let (_folder, store) = opened().await;
        let taking_in = store.begin_write().await.unwrap();
        read(&store).await;
        taking_in.rollback().await.unwrap();
        assert_eq!(store.verify_audit(&Upkeep::begin()).await.unwrap().rows, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn rows_that_come_while_old_ones_are_removed_are_chained_to_the_last_of_them() {
        const READERS: u64 = 4;
        const READS: u64 = 50;
        let (_folder, store) = opened().await;
        let store = Arc::new(store);
        let reading: Vec<_> = (0..READERS)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..READS {
                        read(&store).await;
                    }
                })
            })
            .collect();
        let (upkeep, mut removed) = (Upkeep::begin(), 0);
        while reading.iter().any(|reading| !reading.is_finished()) {
            removed += store.prune_audit(&upkeep, Timestamp::now()).await.unwrap();
        }
        for reading in reading {
            reading.await.unwrap();
        }
        read(&store).await;
        let verdict = store.verify_audit(&upkeep).await.unwrap();
        assert_eq!(verdict.faults, []);
        assert!(removed > 0);
        assert_eq!(removed + verdict.rows, READERS * READS + 1);
    }

    #[tokio::test]
    async fn after_every_row_was_removed_the_next_is_chained_to_the_last() {
        let (folder, store) = opened().await;
        for _ in 0..3 {
            read(&store).await;
        }
        assert_eq!(store.prune_audit(&Upkeep::begin(), Timestamp::now()).await.unwrap(), 3);
        store.close().await;
        let again = Store::open(&store_in(folder.path())).await.unwrap();
        read(&again).await;
        let verdict = again.verify_audit(&Upkeep::begin()).await.unwrap();
        assert_eq!((verdict.first, verdict.last, verdict.faults), (Some(4), Some(4), vec![]));
    }

    /// The anchor of what was cut is written over by the next row's.
    #[tokio::test]
    async fn an_end_that_is_cut_while_nobody_serves_leaves_a_gap() {
        let (folder, store) = opened().await;
        for _ in 0..4 {
            read(&store).await;
        }
        store.close().await;
        let path = store_in(folder.path());
        let trail = sqlite::open_near_writer(&trail::path_of(&path)).unwrap();
        trail.execute("DELETE FROM audit WHERE sequence > 2", []).unwrap();
        drop(trail);
        let again = Store::open(&path).await.unwrap();
        read(&again).await;
        let verdict = again.verify_audit(&Upkeep::begin()).await.unwrap();
        assert!(verdict.faults.contains(&AuditFault::Missing(5)), "{:?}", verdict.faults);
        assert_eq!(verdict.last, Some(5));
    }
}
