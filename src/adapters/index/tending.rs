//! Tidying rows in memory beside the searches: small blocks become one with a graph over it, rows that are gone go.
//!
//! What is to be done is decided and brought back under the index's lock; the work itself holds nothing. Searches go on
//! over what there was, and find the same rows before and after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kernels::bits;

use super::IndexSettings;
use super::base::Base;
use super::base_file;
use super::block::Block;
use super::rows::{RowSet, Rows};

/// The tail is taken into the graph when it has this part of the graph's rows, and at least `LEAST_TAIL`: it is
/// scanned by every broad search until then.
const TAIL_SHARE: usize = 32;
const LEAST_TAIL: usize = 2_048;
/// Rows that are gone are dropped from memory when they are more than a third of all, and at least so many.
const LEAST_GONE: usize = 1_024;

/// What is to be merged.
pub struct Tending {
    generation: Arc<str>,
    folder: PathBuf,
    blocks: Vec<Arc<Block>>,
    /// Rows that the merged block holds.
    kept: RowSet,
    /// The graph to go on from.
    before: Option<Arc<Base>>,
    wants_graph: bool,
    dimension: usize,
    graph_from: usize,
}

/// What came of it, and which blocks it takes the place of.
pub struct Tended {
    pub generation: Arc<str>,
    pub blocks: Vec<Arc<Block>>,
    pub block: Arc<Block>,
    pub base: Option<Arc<Base>>,
}

impl Tending {
    pub fn of(rows: &mut Rows, settings: &IndexSettings, folder: &Path, generation: &Arc<str>) -> Option<Self> {
        let (held, alive) = (rows.held(), rows.live.len());
        let based = rows.base.as_ref().map_or(0, |base| base.block.rows.len());
        let gone = held - alive;
        let has_many_gone = gone >= LEAST_GONE && gone * 3 > held;
        let wants_graph = alive > settings.graph_from;
        let has_long_tail = wants_graph && (based == 0 || held - based >= LEAST_TAIL.max(based / TAIL_SHARE));
        if !has_many_gone && !has_long_tail {
            return None;
        }
        let before = rows.base.clone().filter(|_| !has_many_gone);
        Some(Self {
            generation: generation.clone(),
            folder: folder.to_owned(),
            kept: kept(rows, before.as_deref()),
            blocks: rows.pin(),
            before,
            wants_graph,
            dimension: rows.dimension,
            graph_from: settings.graph_from,
        })
    }

    /// `None` when `stop` was set before it was done.
    pub fn run(self, threads: usize, stop: &AtomicBool) -> Option<Tended> {
        let merged = Arc::new(Block::merge(&self.blocks, &self.kept, self.dimension));
        let (block, base) = if self.wants_graph {
            let mut base = Base::build(merged, self.before.as_deref(), self.graph_from, threads, stop)?;
            // The file is a copy: without it the next start reads the commit, and takes longer.
            if let Err(error) = base_file::write(&self.folder, &mut base) {
                tracing::warn!(%error, "the index's copy of its rows could not be written");
            }
            let base = Arc::new(base);
            (base.block.clone(), Some(base))
        } else {
            (merged, None)
        };
        Some(Tended { generation: self.generation, blocks: self.blocks, block, base })
    }
}

/// The live rows, and all that the graph before has: its nodes keep their places.
fn kept(rows: &Rows, before: Option<&Base>) -> RowSet {
    let mut words = rows.live.words().to_vec();
    if let Some(before) = before {
        for row in &before.block.rows {
            let word = row.number as usize / 64;
            words.resize(words.len().max(word + 1), 0);
            bits::unite(&mut words, word, &[1 << (row.number % 64)]);
        }
    }
    RowSet::of_words(words)
}
