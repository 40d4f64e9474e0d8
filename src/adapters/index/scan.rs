//! The scan: every row in scope compared, or, of a broad scope, those whose sketches promise most.

use std::sync::OnceLock;

use kernels::codes::Probe;
use kernels::nearest::{Near, nearest};
use kernels::sketches::SketchProbe;

use super::block::Block;
use super::rows::Rows;
use super::snapshot::RowId;

/// So many rows are compared, of all those whose sketches were read.
const SKETCHED: usize = 2_048;
/// How many sketches are read in the time of one comparison.
const SKETCHES_PER_ROW: usize = 4;
/// A scan of more rows than this is shared by threads, as many as there are up to `MOST_THREADS`.
const ROWS_PER_THREAD: usize = 24_000;
const SKETCHES_PER_THREAD: usize = 50_000;
const MOST_THREADS: usize = 4;

/// A question's vector, and how many rows are wanted.
pub struct Question<'a> {
    pub vector: &'a [f32],
    pub probe: Probe,
    pub limit: usize,
    /// More rows than this are not all compared.
    pub exact_up_to: usize,
}

impl Question<'_> {
    /// How many of the rows whose sketches were read are compared.
    fn promising(&self) -> usize {
        SKETCHED.max(4 * self.limit)
    }
}

/// Positions in one block, ascending.
pub struct Stretch {
    pub block: usize,
    pub positions: Vec<u32>,
}

/// In rows compared.
pub fn cost(rows: usize, exact_up_to: usize) -> usize {
    if rows > exact_up_to { rows / SKETCHES_PER_ROW + SKETCHED.min(rows) } else { rows }
}

/// The best of the stretches, none below `floor`.
pub fn scan(rows: &Rows, stretches: &[Stretch], question: &Question<'_>, floor: f32) -> Vec<(RowId, f32)> {
    let total: usize = stretches.iter().map(|stretch| stretch.positions.len()).sum();
    if total > question.exact_up_to {
        return scan_promising(rows, stretches, total, question, floor);
    }
    let found = in_threads(stretches, total, ROWS_PER_THREAD, |parts| scan_parts(rows, parts, question, floor));
    best(found.concat(), question.limit)
}

/// Compares those rows only whose sketches promise most. Which they are doesn't depend on how rows lie in blocks.
fn scan_promising(
    rows: &Rows,
    stretches: &[Stretch],
    total: usize,
    question: &Question<'_>,
    floor: f32,
) -> Vec<(RowId, f32)> {
    let (probe, keep) = (SketchProbe::of(question.vector), question.promising());
    let of_parts = |parts: &[Part<'_>]| {
        let mut found = Vec::new();
        for (block, positions) in parts {
            let Some(held) = rows.blocks.get(*block) else { continue };
            let near = held.sketches.promising(&probe, positions, keep);
            found.extend(near.into_iter().map(|near| (*block, near)));
            keep_promising(&mut found, keep);
        }
        found
    };
    let mut promising = in_threads(stretches, total, SKETCHES_PER_THREAD, of_parts).concat();
    keep_promising(&mut promising, keep);
    promising.sort_unstable_by_key(|(block, near)| (*block, near.position));
    let of_blocks = promising.chunk_by(|one, next| one.0 == next.0).map(|of_block| {
        let positions = of_block.iter().map(|(_, near)| near.position).collect();
        Stretch { block: of_block.first().map_or(0, |(block, _)| *block), positions }
    });
    let stretches: Vec<Stretch> = of_blocks.collect();
    best(scan_parts(rows, &stretches.iter().map(Stretch::part).collect::<Vec<_>>(), question, floor), question.limit)
}

fn keep_promising(found: &mut Vec<(usize, Near)>, keep: usize) {
    if found.len() > keep {
        found.select_nth_unstable_by(keep - 1, |(block, near), (other_block, other)| {
            other.score.total_cmp(&near.score).then((block, near.position).cmp(&(other_block, other.position)))
        });
        found.truncate(keep);
    }
}

/// A block, and some of its positions.
type Part<'a> = (usize, &'a [u32]);

impl Stretch {
    fn part(&self) -> Part<'_> {
        (self.block, &self.positions)
    }
}

/// What `scan` makes of the stretches, shared out among as many threads as there is work for.
fn in_threads<T: Send>(
    stretches: &[Stretch],
    total: usize,
    per_thread: usize,
    scan: impl Fn(&[Part<'_>]) -> T + Sync,
) -> Vec<T> {
    let threads = threads_for(total, per_thread);
    if threads <= 1 {
        return vec![scan(&stretches.iter().map(Stretch::part).collect::<Vec<_>>())];
    }
    let shares = share_out(stretches, total.div_ceil(threads));
    std::thread::scope(|scope| {
        let (own, others) = shares.split_first().map_or((&[][..], &[][..]), |(own, others)| (own.as_slice(), others));
        let running: Vec<_> = others.iter().map(|share| scope.spawn(|| scan(share))).collect();
        let mut found = vec![scan(own)];
        for thread in running {
            match thread.join() {
                Ok(others) => found.push(others),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    })
}

fn threads_for(total: usize, per_thread: usize) -> usize {
    static AVAILABLE: OnceLock<usize> = OnceLock::new();
    let available = *AVAILABLE.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    (total / per_thread).min(available).clamp(1, MOST_THREADS)
}

/// The positions of all stretches in shares of up to `size`.
fn share_out(stretches: &[Stretch], size: usize) -> Vec<Vec<Part<'_>>> {
    let mut shares = vec![Vec::new()];
    let mut room = size;
    for stretch in stretches {
        let mut positions = stretch.positions.as_slice();
        while !positions.is_empty() {
            if room == 0 {
                shares.push(Vec::new());
                room = size;
            }
            let (taken, left) = positions.split_at(positions.len().min(room));
            room -= taken.len();
            positions = left;
            if let Some(share) = shares.last_mut() {
                share.push((stretch.block, taken));
            }
        }
    }
    shares
}

/// The best of each part; a part is spared what can't be among the best of those before.
fn scan_parts(rows: &Rows, parts: &[Part<'_>], question: &Question<'_>, mut floor: f32) -> Vec<(RowId, f32)> {
    let mut found = Vec::new();
    for (block, positions) in parts {
        let Some(block) = rows.blocks.get(*block) else { continue };
        found.extend(compare(block, positions, question, floor));
        if found.len() >= question.limit {
            found = best(found, question.limit);
            floor = found.last().map_or(floor, |(_, score)| *score);
        }
    }
    found
}

pub fn compare(block: &Block, positions: &[u32], question: &Question<'_>, floor: f32) -> Vec<(RowId, f32)> {
    let found = nearest(block.compared(), question.vector, &question.probe, positions, question.limit, floor);
    let row_of = |position: u32| block.rows.get(position as usize).map(|row| RowId(row.number));
    found.into_iter().filter_map(|near| Some((row_of(near.position)?, near.score))).collect()
}

/// Best first, ties by row.
pub fn best(mut found: Vec<(RowId, f32)>, limit: usize) -> Vec<(RowId, f32)> {
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(limit);
    found
}
