//! Nearest vectors within a scope: an exact scan as long as that is cheap, the graph where a scope is all or nearly all
//! that a graph holds, and else a scan that reads the rows' sketches first.

use std::sync::OnceLock;

use kernels::codes::Probe;
use kernels::graph::NONE;

use super::base::Base;
use super::rows::Rows;
use super::scan::{self, Question, Stretch, best, compare, scan};
use super::scope::ScopedRows;
use super::snapshot::{DensePlan, Method, RowId};

/// Rows that a walk through a graph of `WIDTH_ROWS` rows holds in view, at least; in a larger one more, by the square
/// root of how much larger it is, and more when more are wanted.
const WIDTH: usize = 200;
const WIDTH_ROWS: usize = 200_000;
/// Below this share of its rows a division is not asked by the graph, which would have to find many rows for each that
/// counts.
const LEAST_SHARE: f32 = 0.75;

/// The rows of a scope as they lie in the blocks; laid out once, when first needed.
#[derive(Default)]
pub struct Reached {
    all: OnceLock<Vec<Stretch>>,
    by_graph: OnceLock<Option<ByGraph>>,
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
    share: f32,
    /// By position, a bit each; absent when the scope holds every row of the division.
    allowed: Option<Vec<u64>>,
}

/// The `limit` rows of the scope nearest to `vector` by dot product (vectors are unit length), best first.
///
/// A walk through a graph costs as much as comparing `exact_up_to` rows, and the more the fewer of its rows are allowed.
/// Every scope of no more rows is compared row by row. What is found follows from the scope's own rows.
pub fn search(
    rows: &Rows,
    scope: &ScopedRows,
    vector: &[f32],
    limit: usize,
    exact_up_to: usize,
) -> (Vec<(RowId, f32)>, DensePlan) {
    let in_scope = scope.rows().len();
    let mut plan =
        DensePlan { method: Method::Nothing, scan_cost: scan::cost(in_scope, exact_up_to), graph_cost: None };
    if in_scope == 0 || limit == 0 {
        return (Vec::new(), plan);
    }
    let question = Question { vector, probe: Probe::of(vector), limit, exact_up_to };
    if in_scope > exact_up_to
        && let Some(base) = &rows.base
        && let Some(by_graph) = scope.reached.by_graph(rows, base, scope, exact_up_to)
    {
        plan.graph_cost = Some(by_graph.cost);
        if by_graph.cost < plan.scan_cost
            && let Some(found) = walk(rows, base, by_graph, &question)
        {
            plan.method = Method::Graph;
            return (found, plan);
        }
    }
    plan.method = if in_scope > exact_up_to { Method::Sketches } else { Method::Exact };
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
        parts.push(GraphPart { division, rows, share, allowed: (!is_whole).then(|| allowed(base, &positions)) });
    }
    scanned.sort_unstable();
    let mut rest = stretches(rows, 1, scope);
    rest.insert(0, Stretch { block: 0, positions: scanned });
    let cost = cost as usize + scan::cost(rest.iter().map(|stretch| stretch.positions.len()).sum(), walk_cost);
    (!parts.is_empty()).then_some(ByGraph { parts, rest, cost })
}

fn allowed(base: &Base, positions: &[u32]) -> Vec<u64> {
    let mut words = vec![0_u64; base.block.rows.len().div_ceil(64)];
    for position in positions {
        if let Some(word) = words.get_mut(*position as usize / 64) {
            *word |= 1 << (position % 64);
        }
    }
    words
}

/// `None` when too few of the rows that a walk came back with are in scope: then the scan must say.
fn walk(rows: &Rows, base: &Base, by_graph: &ByGraph, question: &Question<'_>) -> Option<Vec<(RowId, f32)>> {
    let mut found = Vec::new();
    for part in &by_graph.parts {
        let width = width(base.size(part.division)).max(question.limit) as f32 / part.share;
        let near = base.graph.search(&base.block.codes, &question.probe, part.division, width.ceil() as usize);
        let mut positions: Vec<u32> =
            near.iter().map(|near| near.position).filter(|position| part.holds(*position)).collect();
        if positions.len() < question.limit.min(part.rows) {
            return None;
        }
        positions.sort_unstable();
        found.extend(compare(&base.block, &positions, question, f32::NEG_INFINITY));
    }
    let mut found = best(found, question.limit);
    // What the graph's rows leave no room for is not looked for in the rest.
    let floor = if found.len() < question.limit { None } else { found.last().map(|(_, score)| *score) };
    found.extend(scan(rows, &by_graph.rest, question, floor.unwrap_or(f32::NEG_INFINITY)));
    Some(best(found, question.limit))
}

fn width(rows: usize) -> usize {
    WIDTH.max((WIDTH as f32 * (rows as f32 / WIDTH_ROWS as f32).sqrt()) as usize)
}

impl GraphPart {
    fn holds(&self, position: u32) -> bool {
        let is_set =
            |words: &Vec<u64>| words.get(position as usize / 64).is_some_and(|word| word & (1 << (position % 64)) != 0);
        self.allowed.as_ref().is_none_or(is_set)
    }
}
