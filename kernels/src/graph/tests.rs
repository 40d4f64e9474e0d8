//! A graph finds nearly all that comparing everything finds, and nothing that it may not.

use std::sync::atomic::AtomicBool;

use super::{Graph, NONE, Rows};
use crate::codes::{Codes, Probe};
use crate::distance::dot;
use crate::nearest::{Compared, nearest};

const DIMENSION: usize = 40;

/// Unit vectors about a hundred centres, every tenth one a copy of an earlier one.
fn vectors(seed: u64, rows: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut centred = fastrand::Rng::with_seed(1);
    let centres: Vec<f32> = (0..100 * DIMENSION).map(|_| centred.f32() - 0.5).collect();
    let mut vectors: Vec<f32> = Vec::new();
    for row in 0..rows {
        if row > 0 && row % 10 == 0 {
            let from = random.usize(..row) * DIMENSION;
            vectors.extend_from_within(from..from + DIMENSION);
            continue;
        }
        let centre = &centres[random.usize(..100) * DIMENSION..][..DIMENSION];
        let vector: Vec<f32> = centre.iter().map(|x| x + 0.5 * (random.f32() - 0.5)).collect();
        let length = dot(&vector, &vector).sqrt();
        vectors.extend(vector.iter().map(|x| x / length));
    }
    vectors
}

fn build(codes: &Codes, partitions: &[u32], threads: usize) -> Graph {
    let seeds: Vec<u64> = (0..codes.len() as u64).collect();
    let rows = Rows { codes, partitions, seeds: &seeds };
    Graph::empty().extend(rows, threads, &AtomicBool::new(false)).expect("nobody stops it")
}

/// Rows that a search holds in view.
const WIDTH: usize = 64;

/// Of the ten nearest among `positions`, how many the graph finds, over forty queries.
fn recall(graph: &Graph, vectors: &[f32], codes: &Codes, positions: &[u32]) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for query in self::vectors(99, 40).chunks(DIMENSION) {
        let probe = Probe::of(query);
        let compared = Compared { codes, vectors };
        let exact = nearest(compared, query, &probe, positions, 10, f32::NEG_INFINITY);
        let mut candidates: Vec<u32> = graph.search(codes, &probe, 0, WIDTH).iter().map(|near| near.position).collect();
        candidates.sort_unstable();
        assert!(candidates.iter().all(|position| positions.binary_search(position).is_ok()), "out of bounds");
        let best = nearest(compared, query, &probe, &candidates, 10, f32::NEG_INFINITY);
        let least = exact.last().map_or(0.0, |near| near.score);
        found += best.iter().filter(|near| near.score >= least).count();
        wanted += exact.len();
    }
    found as f64 / wanted as f64
}

#[test]
fn nearly_all_of_the_nearest_are_found_however_many_threads_built_it() {
    let vectors = vectors(3, 6_000);
    let codes = Codes::of(&vectors, DIMENSION);
    let all: Vec<u32> = (0..6_000).collect();
    for threads in [1, 3] {
        let graph = build(&codes, &vec![0; 6_000], threads);
        let recall = recall(&graph, &vectors, &codes, &all);
        assert!(recall > 0.97, "{threads} threads: {recall}");
    }
}

#[test]
fn a_graph_that_was_extended_finds_the_rows_of_before_and_of_after() {
    let vectors = vectors(4, 6_000);
    let (before, all) = (Codes::of(&vectors[..3_500 * DIMENSION], DIMENSION), Codes::of(&vectors, DIMENSION));
    let first = build(&before, &vec![0; 3_500], 2);
    let seeds: Vec<u64> = (0..6_000).collect();
    let rows = Rows { codes: &all, partitions: &vec![0; 6_000], seeds: &seeds };
    let graph = first.extend(rows, 2, &AtomicBool::new(false)).unwrap();
    let recall = recall(&graph, &vectors, &all, &(0..6_000).collect::<Vec<u32>>());
    assert!(recall > 0.97, "{recall}");
    assert_eq!((first.rows(), graph.rows()), (3_500, 6_000));
}

#[test]
fn a_partition_is_the_same_whatever_lies_in_the_others() {
    let vectors = vectors(6, 2_000);
    let codes = Codes::of(&vectors, DIMENSION);
    let partitions: Vec<u32> = (0..2_000).map(|row| [0, 1, NONE][row as usize % 3]).collect();
    let graph = build(&codes, &partitions, 1);
    let own: Vec<u32> = (0..2_000).filter(|row| row % 3 == 0).collect();
    assert!(recall(&graph, &vectors, &codes, &own) > 0.97);
    let others: Vec<f32> = self::vectors(7, 2_000);
    let mixed: Vec<f32> = (0..2_000)
        .flat_map(|row| if row % 3 == 0 { &vectors } else { &others }[row * DIMENSION..][..DIMENSION].to_vec())
        .collect();
    let mixed_codes = Codes::of(&mixed, DIMENSION);
    let beside_others = build(&mixed_codes, &partitions, 1);
    for query in self::vectors(98, 20).chunks(DIMENSION) {
        let probe = Probe::of(query);
        let found = |graph: &Graph, codes: &Codes| -> Vec<(u32, u32)> {
            let found = graph.search(codes, &probe, 0, WIDTH);
            found.into_iter().map(|near| (near.position, near.score.to_bits())).collect()
        };
        assert_eq!(found(&graph, &codes), found(&beside_others, &mixed_codes));
    }
}

#[test]
fn a_build_that_is_stopped_gives_nothing() {
    let vectors = vectors(8, 3_000);
    let codes = Codes::of(&vectors, DIMENSION);
    let seeds: Vec<u64> = (0..3_000).collect();
    let rows = Rows { codes: &codes, partitions: &vec![0; 3_000], seeds: &seeds };
    assert!(Graph::empty().extend(rows, 2, &AtomicBool::new(true)).is_none());
}

#[test]
fn a_graph_comes_back_from_its_parts_and_parts_that_disagree_do_not() {
    let vectors = vectors(9, 500);
    let codes = Codes::of(&vectors, DIMENSION);
    let graph = build(&codes, &vec![0; 500], 1);
    assert_eq!(Graph::from_parts(graph.parts()), Some(graph.clone()));
    let mut parts = graph.parts();
    parts[2][0] = 500;
    assert_eq!(Graph::from_parts(parts), None);
    let mut parts = graph.parts();
    parts[1].pop();
    assert_eq!(Graph::from_parts(parts), None);
}
