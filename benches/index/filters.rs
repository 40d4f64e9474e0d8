//! Filters, each its own row, and starts: through `Index` with its default settings, as the server asks it.
//!
//! Half of the filters are on the source, which has nothing to do with the vectors; the other half on time, which here
//! follows the vectors along one direction, so that a period is a region: queries lie within it or on the other side.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use anamnesis::access::{Access, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use anamnesis::adapters::index::{Index, IndexChange, IndexSettings, IndexedChunk, IndexedDocument, Snapshot};
use anamnesis::config::Config;
use anamnesis::domain::{
    Chunk, ContentHash, Document, DocumentId, DocumentKey, DocumentStatus, Filters, Kind, Labels, PatientId, ReceiptId,
    SourceId, Span, StoredDocument, TenantId, Times, Timestamp,
};
use kernels::codes::Codes;
use kernels::distance::dot;
use serde_json::{Value, json};

use crate::side::median;
use crate::vectors::Set;
use crate::{NEAREST, Outcome, side};

const TENANT: &str = "north";
const SOURCES: usize = 100;
/// What the server asks the vector side for.
const WANTED: usize = 100;
const BATCH: usize = 5_000;
const ROWS_PER_PATIENT: usize = 40;
const TEXT: &str = "text";

pub async fn filters(set: &Set, work: &Path) -> Outcome<Value> {
    let folder = work.join("index");
    let _ = std::fs::remove_dir_all(&folder);
    let rows = set.rows.len() / set.dimension;
    let world = World::new(set);
    let config = Config::default().index;
    let settings = IndexSettings {
        dimension: set.dimension,
        exact_up_to: config.exact_up_to,
        graph_from: config.graph_from,
        recipe: vec!["bench".to_owned()],
    };
    let access = everyone().await?;
    println!("\nindex of {rows} rows");
    let started = Instant::now();
    let index = Index::open(&folder, settings.clone(), i64::MAX)?;
    for (batch, numbers) in (0..rows).collect::<Vec<_>>().chunks(BATCH).enumerate() {
        let changes: Vec<IndexChange> = numbers.iter().map(|number| world.put(set, *number)).collect();
        index.apply(&Upkeep::begin(), &changes, batch as i64 + 1)?;
    }
    let applied = started.elapsed().as_secs_f64();
    index.settle();
    let settled = started.elapsed().as_secs_f64();
    let codes = Codes::of(&set.rows, set.dimension);
    let one = changed_alone(&index, &world, set)?;
    let mut report = vec![world.patients(&index.snapshot(), set, &access)];
    for filter in world.filters(rows) {
        report.push(world.measure(&index.snapshot(), set, &codes, &access, &filter));
    }
    index.settle();
    drop(index);
    let started = Instant::now();
    let index = Index::open(&folder, settings, i64::MAX)?;
    let start = started.elapsed().as_secs_f64();
    let held = index.snapshot().chunks();
    println!("written in {applied:.1} s, graph after {settled:.1} s, one note {one:.1} ms, started in {start:.2} s");
    Ok(json!({
        "rows": held, "write_s": applied, "graph_s": settled, "one_note_ms": one, "start_s": start, "filters": report,
    }))
}

/// What one note costs, from the change to the snapshot that shows it: median of twenty.
fn changed_alone(index: &Index, world: &World, set: &Set) -> Outcome<f64> {
    let mut taken = Vec::new();
    for number in 0..20 {
        let started = Instant::now();
        index.apply(&Upkeep::begin(), &[world.put(set, number)], 1_000_000 + number as i64)?;
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(taken))
}

async fn everyone() -> Outcome<Access> {
    let key = DevelopmentKey::random();
    let token = key.mint(&TokenGrant::new("bench", TenantId::new(TENANT), "system/*.rs"));
    Ok(Verifier::development(key).verify(&token, &Policy::default()).await?)
}

struct Named {
    name: &'static str,
    filters: Filters,
    /// Which queries are asked: all, those within the period, those on the other side.
    queries: Queries,
}

#[derive(Clone, Copy, PartialEq)]
enum Queries {
    All,
    Within,
    Against,
}

struct World {
    /// For each row, its place along the direction, as a time.
    times: Vec<i64>,
    direction: Vec<f32>,
    middle: f32,
}

impl World {
    fn new(set: &Set) -> Self {
        let direction: Vec<f32> = set.rows[..set.dimension].to_vec();
        let mut along: Vec<(f32, usize)> =
            set.rows.chunks_exact(set.dimension).map(|row| dot(row, &direction)).zip(0..).collect();
        along.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut times = vec![0; along.len()];
        for (time, (_, row)) in (0..).zip(&along) {
            times[*row] = time;
        }
        let middle = along[along.len() / 2].0;
        Self { times, direction, middle }
    }

    fn put(&self, set: &Set, number: usize) -> IndexChange {
        let vector = set.rows[number * set.dimension..][..set.dimension].to_vec();
        let document = Document {
            source_key: number.to_string(),
            source_version: None,
            kind: Kind::Note,
            resource_type: "DocumentReference".to_owned(),
            patient: Some(PatientId::new(format!("p{}", number / ROWS_PER_PATIENT))),
            encounter: None,
            title: String::new(),
            author: None,
            times: Times { effective: Some(Timestamp::from_micros(self.times[number])), source: None },
            labels: Labels::default(),
            status: DocumentStatus::Current,
            text: TEXT.to_owned(),
            sections: Vec::new(),
            pages: Vec::new(),
            facts: Vec::new(),
        };
        let document = StoredDocument {
            key: DocumentKey { id: DocumentId::new(number.to_string()), version: 1 },
            source: source(number),
            document,
            content_hash: ContentHash(String::new()),
            received_at: Timestamp::from_micros(0),
            is_latest: true,
            receipt: ReceiptId::new("r"),
            ordinal: 0,
        };
        let chunk = Chunk { ordinal: 0, section: None, span: Span::new(0, TEXT.len()), tokens: 1 };
        let chunks = vec![IndexedChunk { chunk, vector, windows: Vec::new() }];
        IndexChange::Put(Box::new(IndexedDocument { tenant: TenantId::new(TENANT), document, chunks }))
    }

    fn filters(&self, rows: usize) -> Vec<Named> {
        let sources =
            |percent: usize| (0..percent).map(|number| SourceId::new(format!("s{number}"))).collect::<Vec<_>>();
        // The latest part: where the product with the direction is greatest.
        let from = |percent: usize| Some(Timestamp::from_micros((rows - rows * percent / 100) as i64));
        let named = |name, sources, from, queries| Named {
            name,
            filters: Filters { sources, from, ..Filters::default() },
            queries,
        };
        use Queries::{Against, All, Within};
        vec![
            named("everything", Vec::new(), None, All),
            named("50%", sources(50), None, All),
            named("20%", sources(20), None, All),
            named("10%", sources(10), None, All),
            named("1%", sources(1), None, All),
            named("50% correlated, within", Vec::new(), from(50), Within),
            named("50% correlated, against", Vec::new(), from(50), Against),
            named("20% correlated, within", Vec::new(), from(20), Within),
            named("20% correlated, against", Vec::new(), from(20), Against),
            named("10% correlated, within", Vec::new(), from(10), Within),
            named("10% correlated, against", Vec::new(), from(10), Against),
            named("AND 4%", sources(20), from(20), All),
            named("AND 1%", sources(10), from(10), All),
            named("AND 0.01%", sources(1), from(1), All),
        ]
    }

    fn measure(&self, snapshot: &Snapshot, set: &Set, codes: &Codes, access: &Access, named: &Named) -> Value {
        let started = Instant::now();
        let scope = snapshot.scope(access, &named.filters);
        let opened = started.elapsed().as_secs_f64() * 1e3;
        let (mut taken, mut same, mut wanted) = (Vec::new(), 0, 0);
        let mut methods = HashSet::new();
        let passing = self.passing(&named.filters);
        for query in set.queries() {
            let is_within = dot(query, &self.direction) >= self.middle;
            if named.queries != Queries::All && (named.queries == Queries::Within) != is_within {
                continue;
            }
            let started = Instant::now();
            let (found, plan) = snapshot.dense(&scope, query, WANTED);
            taken.push(started.elapsed().as_secs_f64() * 1e3);
            methods.insert(plan.method.as_str());
            let nearest = side::exact_among(set, codes, &passing, query, NEAREST);
            let expected: HashSet<String> = nearest.iter().map(|near| near.position.to_string()).collect();
            let found = found.iter().take(NEAREST).filter_map(|(row, _)| snapshot.locate(*row));
            same += found.filter(|(key, _)| expected.contains(key.id.as_str())).count();
            wanted += expected.len();
        }
        let mean = taken.iter().sum::<f64>() / taken.len() as f64;
        let recall = same as f64 / wanted.max(1) as f64;
        let mut methods: Vec<&str> = methods.into_iter().collect();
        methods.sort_unstable();
        println!(
            "{:>26} {:>8} rows {recall:>8.4} recall {mean:>8.3} ms mean {:>8.3} ms median, opened {opened:>7.3} ms, {}",
            named.name,
            snapshot.chunks_in(&scope),
            median(taken.clone()),
            methods.join(" ")
        );
        json!({
            "filter": named.name, "rows": snapshot.chunks_in(&scope), "recall": recall, "mean_ms": mean, "median_ms": median(taken),
            "open_ms": opened, "methods": methods,
        })
    }

    /// The rows that pass, by their own sources and times.
    fn passing(&self, filters: &Filters) -> Vec<u32> {
        let passes = |row: &usize| {
            (filters.sources.is_empty() || filters.sources.contains(&source(*row)))
                && filters.from.is_none_or(|from| self.times[*row] >= from.as_micros())
        };
        (0..self.times.len()).filter(passes).map(|row| row as u32).collect()
    }

    /// A hundred thousand pairs of a patient and a query, scope opening included.
    fn patients(&self, snapshot: &Snapshot, set: &Set, access: &Access) -> Value {
        const PAIRS: usize = 100_000;
        let rows = set.rows.len() / set.dimension;
        let queries: Vec<&[f32]> = set.queries().collect();
        let mut random = fastrand::Rng::with_seed(5);
        let (mut taken, mut same, mut wanted) = (Vec::with_capacity(PAIRS), 0, 0);
        for _ in 0..PAIRS {
            let (patient, query) = (random.usize(..rows / ROWS_PER_PATIENT), queries[random.usize(..queries.len())]);
            let filters = Filters { patient: Some(PatientId::new(format!("p{patient}"))), ..Filters::default() };
            let started = Instant::now();
            let scope = snapshot.scope(access, &filters);
            let (found, _) = snapshot.dense(&scope, query, NEAREST);
            taken.push(started.elapsed().as_secs_f64() * 1e3);
            let mut expected: Vec<(f32, usize)> = (patient * ROWS_PER_PATIENT..(patient + 1) * ROWS_PER_PATIENT)
                .map(|row| (plain_dot(&set.rows[row * set.dimension..][..set.dimension], query), row))
                .collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            let expected: HashSet<String> = expected[..NEAREST].iter().map(|(_, row)| row.to_string()).collect();
            same += found
                .iter()
                .filter_map(|(row, _)| snapshot.locate(*row))
                .filter(|(key, _)| expected.contains(key.id.as_str()))
                .count();
            wanted += expected.len();
        }
        taken.sort_by(f64::total_cmp);
        let (recall, p99) = (same as f64 / wanted as f64, taken[PAIRS * 99 / 100]);
        println!(
            "{:>26} {PAIRS} pairs {recall:.6} recall {:>8.3} ms median {p99:>8.3} ms p99",
            "patient",
            taken[PAIRS / 2]
        );
        json!({ "filter": "patient", "pairs": PAIRS, "recall": recall, "median_ms": taken[PAIRS / 2], "p99_ms": p99 })
    }
}

fn source(row: usize) -> SourceId {
    // Unrelated to how the vectors were made, row after row.
    SourceId::new(format!("s{}", row.wrapping_mul(2_654_435_761) / 7 % SOURCES))
}

/// Not ours: in double precision.
fn plain_dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() as f32
}
