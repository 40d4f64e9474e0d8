//! Which generation is in service, on disk and in memory, and the swap from one to the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::generation::{Generation, IndexChange};
use super::snapshot::Snapshot;
use super::tending::Tending;
use super::{IndexError, analyzer};
use crate::access::Upkeep;

/// Names the generation in service; replaced by an atomic rename.
const POINTER: &str = "in-service";
const POINTER_NEXT: &str = "in-service.next";
/// Locked as long as a process has the index open; the lock ends with the process, however it ends.
const LOCK: &str = "lock";

#[derive(Clone, Debug)]
pub struct IndexSettings {
    /// Components of a vector.
    pub dimension: usize,
    /// Scopes of up to this many chunks are scanned exactly; broader ones ask the graph.
    pub exact_up_to: usize,
    /// The graph is built once more chunks than this are held.
    pub graph_from: usize,
    /// Revisions of what derives the index: normalizer, chunker, embedder.
    pub recipe: Vec<String>,
}

impl IndexSettings {
    /// Equal recipes, equal name: whatever changes the index's content must be part of it.
    fn recipe_name(&self) -> String {
        let mut hasher = Sha256::new();
        for part in self.recipe.iter().map(String::as_str).chain([analyzer::REVISION]) {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        hex::encode(&hasher.finalize()[..6])
    }
}

pub struct Index {
    root: PathBuf,
    settings: IndexSettings,
    served: Arc<Served>,
    /// What tidies the rows beside the searches, while it does.
    tending: Mutex<Option<JoinHandle<()>>>,
    _lock: fs::File,
}

/// The generation in service and what it shows.
struct Served {
    serving: Mutex<Generation>,
    current: ArcSwap<Snapshot>,
    /// Set when the index is closed: what is done beside the searches is given up.
    stop: AtomicBool,
}

impl Index {
    /// Opens the generation in service below `root`; begins an empty one when there is none, when its
    /// recipe is not ours, or when its files can't be read: it is derived, and is filled from the store.
    ///
    /// The same when it shows changes past `newest_change`: then the store is an older one, put back, whose next
    /// changes would seem to be shown already.
    ///
    /// Errors: [`IndexError::InUse`] when another process writes it.
    pub fn open(root: &Path, settings: IndexSettings, newest_change: i64) -> Result<Self, IndexError> {
        fs::create_dir_all(root)?;
        let lock = lock(root)?;
        let recipe = settings.recipe_name();
        let pointed = fs::read_to_string(root.join(POINTER)).ok().map(|name| name.trim().to_owned());
        let existing = pointed.filter(|name| name.starts_with(&recipe) && root.join(name).is_dir());
        let opened = existing.map(|name| Generation::open(&root.join(&name), &name, settings.clone()));
        let mut generation = match opened {
            Some(Ok(generation)) if generation.watermark() <= newest_change => generation,
            Some(Ok(ahead)) => {
                tracing::warn!(
                    watermark = ahead.watermark(),
                    newest_change,
                    "the index is ahead of the store and is built again"
                );
                drop(ahead);
                begin(root, &recipe, &settings)?
            }
            Some(Err(IndexError::InUse)) => return Err(IndexError::InUse),
            Some(Err(error)) => {
                tracing::warn!(%error, "the index can't be opened and is built again from the store");
                begin(root, &recipe, &settings)?
            }
            None => begin(root, &recipe, &settings)?,
        };
        point(root, generation.name())?;
        remove_leftovers(root, generation.name())?;
        let snapshot = generation.snapshot()?;
        let served = Served {
            serving: Mutex::new(generation),
            current: ArcSwap::from_pointee(snapshot),
            stop: AtomicBool::new(false),
        };
        let index =
            Self { root: root.to_owned(), settings, served: Arc::new(served), tending: Mutex::new(None), _lock: lock };
        index.tend();
        Ok(index)
    }

    /// Take it once per query and keep it to the end.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.served.current.load_full()
    }

    pub fn watermark(&self) -> i64 {
        self.served.current.load().watermark()
    }

    /// Applies changes to the generation in service; the next query sees all of them or none.
    pub fn apply(&self, upkeep: &Upkeep, changes: &[IndexChange], watermark: i64) -> Result<(), IndexError> {
        let mut serving = self.served.lock();
        serving.apply(upkeep, changes, watermark)?;
        self.served.current.store(Arc::new(serving.snapshot()?));
        drop(serving);
        self.tend();
        Ok(())
    }

    /// Rewrites what holds removed rows, and removes every generation but the one in service: no byte of what went is
    /// left on disk. Must not run beside the building of a generation.
    pub fn expunge(&self, upkeep: &Upkeep) -> Result<(), IndexError> {
        // Whoever still tidies the rows of before would write a copy of them again.
        self.settle();
        let mut serving = self.served.lock();
        serving.merge_away_removed(upkeep)?;
        self.served.current.store(Arc::new(serving.snapshot()?));
        serving.collect_files()?;
        let in_service = serving.name().to_owned();
        drop(serving);
        remove_others(&self.root, &[&in_service])?;
        self.tend();
        Ok(())
    }

    /// An empty generation beside the one in service.
    pub fn begin_generation(&self, _upkeep: &Upkeep) -> Result<Generation, IndexError> {
        begin(&self.root, &self.settings.recipe_name(), &self.settings)
    }

    /// Puts `next` in service; queries in flight finish on the snapshot they hold.
    ///
    /// The generation before stays on disk as the way back; older ones go.
    pub fn put_in_service(&self, _upkeep: &Upkeep, mut next: Generation) -> Result<(), IndexError> {
        let mut serving = self.served.lock();
        let snapshot = next.snapshot()?;
        point(&self.root, next.name())?;
        let previous = serving.name().to_owned();
        let in_service = next.name().to_owned();
        *serving = next;
        self.served.current.store(Arc::new(snapshot));
        drop(serving);
        self.tend();
        remove_others(&self.root, &[&previous, &in_service])
    }

    /// Removes a generation that was begun and will not be put in service.
    pub fn discard(&self, _upkeep: &Upkeep, generation: Generation) -> Result<(), IndexError> {
        let folder = generation.folder().to_owned();
        drop(generation);
        Ok(fs::remove_dir_all(folder)?)
    }

    /// Waits until there is nothing left to tidy.
    pub fn settle(&self) {
        let running = lock_of(&self.tending).take();
        // A panic was told of by the thread; what serves is whole, and the next change begins anew.
        running.map(JoinHandle::join);
    }

    /// Has the rows tidied beside the searches, if there is anything to tidy and nobody is at it.
    fn tend(&self) {
        let mut tending = lock_of(&self.tending);
        if tending.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let Some(first) = self.served.lock().tending() else { return };
        let served = self.served.clone();
        let spawned = std::thread::Builder::new().name("index-tending".to_owned()).spawn(move || served.tend(first));
        match spawned {
            Ok(running) => *tending = Some(running),
            Err(error) => {
                self.served.lock().leave_untended();
                tracing::warn!(%error, "the index can't tidy its rows just now");
            }
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.served.stop.store(true, Ordering::Relaxed);
        self.settle();
    }
}

impl Served {
    fn lock(&self) -> MutexGuard<'_, Generation> {
        // A panic between commit and memory would show in the next open, from disk; the guard itself is sound.
        lock_of(&self.serving)
    }

    fn tend(&self, first: Tending) {
        let mut next = Some(first);
        while let Some(tending) = next {
            let Some(tended) = tending.run(tending_threads(), &self.stop) else { return };
            let mut serving = self.lock();
            if !serving.install(tended) {
                // Another generation has come into service meanwhile; what there is to do for it, it says itself.
                serving.leave_untended();
            }
            match serving.snapshot() {
                Ok(snapshot) => self.current.store(Arc::new(snapshot)),
                Err(error) => tracing::warn!(%error, "the index's tidied rows can't be shown yet"),
            }
            next = serving.tending();
        }
    }
}

/// Half of the processors: the others answer.
fn tending_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |available| usize::from(available).div_ceil(2))
}

fn lock_of<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock(root: &Path) -> Result<fs::File, IndexError> {
    let file = fs::File::create(root.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(IndexError::InUse),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn begin(root: &Path, recipe: &str, settings: &IndexSettings) -> Result<Generation, IndexError> {
    let name = format!("{recipe}-{}", Uuid::now_v7());
    Generation::open(&root.join(&name), &name, settings.clone())
}

fn point(root: &Path, name: &str) -> Result<(), IndexError> {
    let next = root.join(POINTER_NEXT);
    let file = fs::File::create(&next)?;
    std::io::Write::write_all(&mut &file, name.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, root.join(POINTER))?;
    fs::File::open(root)?.sync_all()?;
    Ok(())
}

/// Removes what a process that was ended left half-built: every generation but the one in service and the one before.
fn remove_leftovers(root: &Path, in_service: &str) -> Result<(), IndexError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    let current = begun(in_service);
    let before =
        names.iter().filter(|name| begun(name).is_some_and(|id| Some(id) < current)).max_by_key(|name| begun(name));
    let kept: Vec<&str> = [in_service].into_iter().chain(before.map(String::as_str)).collect();
    remove_others(root, &kept)
}

/// Orders generations by when they were begun; `None` for a folder that is no generation.
fn begun(name: &str) -> Option<Uuid> {
    name.split_once('-').and_then(|(_, id)| Uuid::parse_str(id).ok())
}

fn remove_others(root: &Path, kept: &[&str]) -> Result<(), IndexError> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() && !kept.iter().any(|kept| name == *kept) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
