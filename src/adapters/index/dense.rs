//! Nearest vectors within a scope: an exact scan as long as that is cheap, the graph where a scope is broad.

use std::sync::OnceLock;

use kernels::codes::Probe;
use kernels::graph::{Allowed, Ask, NONE};
use kernels::nearest::nearest;

use super::base::Base;
use super::block::Block;
use super::rows::Rows;
use super::scope::ScopedRows;
use super::snapshot::{DensePlan, Method, RowId};

/// Rows that a walk through the graph holds in view, at least; more when more are wanted.
const WIDTH: usize = 200;
/// A walk is not given up before it has compared so many rows.
const LEAST_STEPS: usize = 10_000;
/// Below this share of its rows a division is not asked by the graph, as a scan of them is as fast and misses nothing.
const LEAST_SHARE: f32 = 0.12;
/// A scan of more rows than this is shared by threads, as many as there are up to `MOST_THREADS`.
const ROWS_PER_THREAD: usize = 24_000;
const MOST_THREADS: usize = 4;
/// Places to begin that a filtered walk is given.
const STARTS: usize = 128;

/// The rows of a scope as they lie in the blocks; laid out once, when first needed.
#[derive(Default)]
pub struct Reached {
    all: OnceLock<Vec<Stretch>>,
    by_graph: OnceLock<Option<ByGraph>>,
}

/// Positions in one block, ascending.
struct Stretch {
    block: usize,
    positions: Vec<u32>,
}

/// A scope divided into what the graph can be asked for and what is scanned beside it.
struct ByGraph {
    parts: Vec<GraphPart>,
    rest: Vec<Stretch>,
    cost: usize,
}

struct GraphPart {
    division: u32,
    rows: usize,
    /// Absent when the scope holds every row of the division.
    allowed: Option<AllowedRows>,
}

struct AllowedRows {
    words: Vec<u64>,
    starts: Vec<u32>,
    share: f32,
}

/// A question's vector, and how many rows are wanted.
struct Question<'a> {
    vector: &'a [f32],
    probe: Probe,
    limit: usize,
}

/// The `limit` rows of the scope nearest to `vector` by dot product (vectors are unit length), best first.
///
/// A walk through the whole graph costs as much as comparing `exact_up_to` rows, and the more the fewer of its rows are
/// allowed. Every scope for which comparing each row costs no more is compared so, and so is one whose rows the graph
/// can't be asked for.
pub fn search(
    rows: &Rows,
    scope: &ScopedRows,
    vector: &[f32],
    limit: usize,
    exact_up_to: usize,
) -> (Vec<(RowId, f32)>, DensePlan) {
    let in_scope = scope.rows().len();
    let mut plan = DensePlan { method: Method::Nothing, scan_cost: in_scope, graph_cost: None };
    if in_scope == 0 || limit == 0 {
        return (Vec::new(), plan);
    }
    let question = Question { vector, probe: Probe::of(vector), limit };
    plan.method = Method::Exact;
    if in_scope > exact_up_to
        && let Some(base) = &rows.base
        && let Some(by_graph) = scope.reached.by_graph(rows, base, scope, exact_up_to)
    {
        plan.graph_cost = Some(by_graph.cost);
        if by_graph.cost < in_scope {
            if let Some(found) = walk(rows, base, by_graph, &question) {
                plan.method = Method::Graph;
                return (found, plan);
            }
            plan.method = Method::ExactAfterGraph;
        }
    }
    (scan(rows, scope.reached.all(rows, scope), &question, f32::NEG_INFINITY), plan)
}

impl Reached {
    fn all(&self, rows: &Rows, scope: &ScopedRows) -> &[Stretch] {
        self.all.get_or_init(|| stretches(rows, 0, scope))
    }

    fn by_graph(&self, rows: &Rows, base: &Base, scope: &ScopedRows, walk_cost: usize) -> Option<&ByGraph> {
        self.by_graph.get_or_init(|| divide(rows, base, scope, walk_cost)).as_ref()
    }
}

fn stretches(rows: &Rows, from: usize, scope: &ScopedRows) -> Vec<Stretch> {
    let blocks = rows.blocks.iter().enumerate().skip(from);
    blocks
        .map(|(block, held)| Stretch { block, positions: held.places.of_set(scope.rows().words()) })
        .filter(|stretch| !stretch.positions.is_empty())
        .collect()
}

/// `None` when the graph is of no use: nothing in it is the caller's to see whole, or the scope holds too little of it.
fn divide(rows: &Rows, base: &Base, scope: &ScopedRows, walk_cost: usize) -> Option<ByGraph> {
    let open = base.open_to(scope.unrestricted()?);
    let mut by_division: Vec<Vec<u32>> = vec![Vec::new(); open.len()];
    let mut scanned = Vec::new();
    for position in base.block.places.of_set(scope.rows().words()) {
        let division = base.division_of().get(position as usize).copied().unwrap_or(NONE) as usize;
        match (open.get(division), by_division.get_mut(division)) {
            (Some(true), Some(positions)) => positions.push(position),
            _ => scanned.push(position),
        }
    }
    let mut parts = Vec::new();
    let mut cost = 0.0;
    for (division, positions) in (0..).zip(by_division) {
        let share = positions.len() as f32 / base.size(division).max(1) as f32;
        if share < LEAST_SHARE {
            scanned.extend(positions);
            continue;
        }
        cost += walk_cost as f32 / share;
        let (rows, is_whole) = (positions.len(), positions.len() == base.size(division));
        parts.push(GraphPart { division, rows, allowed: (!is_whole).then(|| allowed(base, &positions, share)) });
    }
    scanned.sort_unstable();
    let mut rest = stretches(rows, 1, scope);
    rest.insert(0, Stretch { block: 0, positions: scanned });
    let cost = cost as usize + rest.iter().map(|stretch| stretch.positions.len()).sum::<usize>();
    (!parts.is_empty()).then_some(ByGraph { parts, rest, cost })
}

fn allowed(base: &Base, positions: &[u32], share: f32) -> AllowedRows {
    let mut words = vec![0_u64; base.block.rows.len().div_ceil(64)];
    for position in positions {
        if let Some(word) = words.get_mut(*position as usize / 64) {
            *word |= 1 << (position % 64);
        }
    }
    let starts = positions.iter().copied().step_by((positions.len() / STARTS).max(1)).collect();
    AllowedRows { words, starts, share }
}

/// `None` when a walk was given up or came back with fewer rows than there are: then the scan must say.
fn walk(rows: &Rows, base: &Base, by_graph: &ByGraph, question: &Question<'_>) -> Option<Vec<(RowId, f32)>> {
    let mut found = Vec::new();
    for part in &by_graph.parts {
        let allowed = part.allowed.as_ref();
        let ask = Ask {
            partition: part.division,
            width: WIDTH.max(question.limit),
            allowed: allowed.map(|rows| Allowed { words: &rows.words, starts: &rows.starts, share: rows.share }),
            // Beyond this it would have been better to compare them all.
            most_compared: part.rows.max(LEAST_STEPS),
        };
        let walked = base.graph.search(&base.block.codes, &question.probe, ask);
        if !walked.is_complete || walked.near.len() < question.limit.min(part.rows) {
            return None;
        }
        let mut positions: Vec<u32> = walked.near.iter().map(|near| near.position).collect();
        positions.sort_unstable();
        found.extend(compare(&base.block, &positions, question, f32::NEG_INFINITY));
    }
    let mut found = best(found, question.limit);
    // What the graph's rows leave no room for is not looked for in the rest.
    let floor = if found.len() < question.limit { None } else { found.last().map(|(_, score)| *score) };
    found.extend(scan(rows, &by_graph.rest, question, floor.unwrap_or(f32::NEG_INFINITY)));
    Some(best(found, question.limit))
}

/// The best of the stretches, none below `floor`.
fn scan(rows: &Rows, stretches: &[Stretch], question: &Question<'_>, floor: f32) -> Vec<(RowId, f32)> {
    let total: usize = stretches.iter().map(|stretch| stretch.positions.len()).sum();
    let threads = threads_for(total);
    if threads <= 1 {
        let parts = stretches.iter().map(|stretch| (stretch.block, stretch.positions.as_slice()));
        return best(scan_parts(rows, parts, question, floor), question.limit);
    }
    let shares = share_out(stretches, total.div_ceil(threads));
    let found = std::thread::scope(|scope| {
        let (own, others) = shares.split_first().map_or((&[][..], &[][..]), |(own, others)| (own.as_slice(), others));
        let running: Vec<_> = others
            .iter()
            .map(|share| scope.spawn(|| scan_parts(rows, share.iter().copied(), question, floor)))
            .collect();
        let mut found = scan_parts(rows, own.iter().copied(), question, floor);
        for thread in running {
            match thread.join() {
                Ok(others) => found.extend(others),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    best(found, question.limit)
}

fn threads_for(total: usize) -> usize {
    static AVAILABLE: OnceLock<usize> = OnceLock::new();
    let available = *AVAILABLE.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    (total / ROWS_PER_THREAD).min(available).clamp(1, MOST_THREADS)
}

/// The positions of all stretches in shares of up to `size`.
fn share_out(stretches: &[Stretch], size: usize) -> Vec<Vec<(usize, &[u32])>> {
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
fn scan_parts<'a>(
    rows: &Rows,
    parts: impl Iterator<Item = (usize, &'a [u32])>,
    question: &Question<'_>,
    mut floor: f32,
) -> Vec<(RowId, f32)> {
    let mut found = Vec::new();
    for (block, positions) in parts {
        let Some(block) = rows.blocks.get(block) else { continue };
        found.extend(compare(block, positions, question, floor));
        if found.len() >= question.limit {
            found = best(found, question.limit);
            floor = found.last().map_or(floor, |(_, score)| *score);
        }
    }
    found
}

fn compare(block: &Block, positions: &[u32], question: &Question<'_>, floor: f32) -> Vec<(RowId, f32)> {
    let found = nearest(block.compared(), question.vector, &question.probe, positions, question.limit, floor);
    let row_of = |position: u32| block.rows.get(position as usize).map(|row| RowId(row.number));
    found.into_iter().filter_map(|near| Some((row_of(near.position)?, near.score))).collect()
}

/// Best first, ties by row.
fn best(mut found: Vec<(RowId, f32)>, limit: usize) -> Vec<(RowId, f32)> {
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(limit);
    found
}
