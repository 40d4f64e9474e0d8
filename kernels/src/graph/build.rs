//! Building a graph: rows are inserted by several threads at once, each linked with the nearest that are there.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::beam::{Links, Room, descend, walk};
use super::{Entry, GROUND_LINKS, Graph, NONE, Shape, UPPER_LINKS, ground};
use crate::codes::{Codes, Probe};

/// Rows looked at to find a new one's neighbours.
const BUILD_WIDTH: usize = 200;
/// Rows that a thread takes at a time.
const TURN: usize = 64;
/// Of a node's links so many at most lead to rows that are the same as itself: notes are copied, and a
/// node that knew its copies only would lead nowhere.
const COPIES: usize = 6;
/// What counts as the same: codes of equal vectors are equal.
const SAME: f32 = 0.9999;

/// What to build over.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub codes: &'a Codes,
    /// By row: which partition it is in, [`NONE`] to leave it out.
    pub partitions: &'a [u32],
    /// By row: what its level is drawn from.
    pub seeds: &'a [u64],
}

impl Graph {
    pub fn empty() -> Self {
        Self { shape: Shape::empty(), ground: Vec::new(), upper: Vec::new(), entries: Vec::new() }
    }

    /// A graph over the rows from this one's on as well; those before must be the same.
    ///
    /// `None` when `stop` was set before it was done.
    pub fn extend(&self, rows: Rows<'_>, threads: usize, stop: &AtomicBool) -> Option<Self> {
        let growing = Growing::from(self, rows);
        let next = AtomicUsize::new(self.rows());
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| growing.take_turns(&next, stop));
            }
            growing.take_turns(&next, stop);
        });
        (!stop.load(Relaxed)).then(|| growing.finish())
    }
}

struct Growing<'a> {
    rows: Rows<'a>,
    shape: Shape,
    ground: Vec<AtomicU32>,
    upper: Vec<AtomicU32>,
    /// Held while a node's links are written.
    locks: Vec<Mutex<()>>,
    entries: Vec<Mutex<Entry>>,
}

impl Links for Growing<'_> {
    fn rows(&self) -> usize {
        self.shape.levels.len()
    }

    fn links(&self, node: u32, level: u8, into: &mut Vec<u32>) {
        into.clear();
        into.extend(self.list(node, level).iter().map(|link| link.load(Relaxed)).take_while(|link| *link != NONE));
    }
}

impl<'a> Growing<'a> {
    fn from(graph: &Graph, rows: Rows<'a>) -> Self {
        let mut shape = graph.shape.clone();
        let count = rows.codes.len().min(rows.partitions.len()).min(rows.seeds.len());
        rows.seeds[..count].iter().skip(graph.rows()).for_each(|seed| shape.push(*seed));
        let grown = |links: &[u32], length: usize| -> Vec<AtomicU32> {
            let kept = links.iter().copied();
            kept.chain(std::iter::repeat(NONE)).take(length.max(links.len())).map(AtomicU32::new).collect()
        };
        let partitions = rows.partitions.iter().filter(|partition| **partition != NONE).max();
        let entries = graph.entries.len().max(partitions.map_or(0, |last| *last as usize + 1));
        let none = Entry { node: NONE, level: 0 };
        Self {
            ground: grown(&graph.ground, count * GROUND_LINKS),
            upper: grown(&graph.upper, shape.upper_len),
            locks: (0..shape.levels.len()).map(|_| Mutex::new(())).collect(),
            entries: (0..entries).map(|at| Mutex::new(graph.entries.get(at).copied().unwrap_or(none))).collect(),
            shape,
            rows,
        }
    }

    fn finish(self) -> Graph {
        let plain = |links: Vec<AtomicU32>| links.into_iter().map(AtomicU32::into_inner).collect();
        let entries = self.entries.into_iter().map(|entry| entry.into_inner().unwrap_or_else(PoisonError::into_inner));
        Graph { shape: self.shape, ground: plain(self.ground), upper: plain(self.upper), entries: entries.collect() }
    }

    fn take_turns(&self, next: &AtomicUsize, stop: &AtomicBool) {
        let mut worker = Worker::default();
        let rows = self.shape.levels.len();
        loop {
            let start = next.fetch_add(TURN, Relaxed);
            if start >= rows || stop.load(Relaxed) {
                return;
            }
            for node in start..(start + TURN).min(rows) {
                if self.rows.partitions[node] != NONE {
                    self.insert(node as u32, &mut worker);
                }
            }
        }
    }

    fn insert(&self, node: u32, worker: &mut Worker) {
        let level = self.shape.levels[node as usize];
        let mut entry = lock(&self.entries[self.rows.partitions[node as usize] as usize]);
        let top = *entry;
        // A node that will be the next entry keeps others waiting until it is; the rest go on side by side.
        let held = if top.node == NONE || level > top.level {
            Some(entry)
        } else {
            drop(entry);
            None
        };
        if top.node != NONE {
            self.link(node, level, top, worker);
        }
        if let Some(held) = held {
            entry = held;
            *entry = Entry { node, level };
        }
    }

    fn link(&self, node: u32, level: u8, top: Entry, worker: &mut Worker) {
        let codes = self.rows.codes;
        codes.probe_of_row(node, &mut worker.probe);
        let mut near = top.node;
        for above in (level + 1..=top.level).rev() {
            near = descend(self, codes, &worker.probe, above, near, &mut worker.room);
        }
        let mut starts = vec![near];
        let mut chosen = Vec::new();
        for at in (0..=level.min(top.level)).rev() {
            walk(self, codes, &worker.probe, at, &starts, BUILD_WIDTH, &mut worker.room);
            let found: Vec<(f32, u32)> =
                worker.room.beam.entries().iter().map(|near| (near.score, near.node)).collect();
            chosen.push((at, worker.chooser.choose(codes, node, &worker.probe, &found, links_at(at))));
            starts.clear();
            starts.extend(found.iter().map(|(_, node)| *node));
        }
        // From the ground up: whoever finds the node on a level can go on below.
        for (at, links) in chosen.into_iter().rev() {
            self.write(node, at, &links);
            for link in links {
                self.link_back(link, node, at, worker);
            }
        }
    }

    fn write(&self, node: u32, level: u8, links: &[u32]) {
        let padded = links.iter().copied().chain(std::iter::repeat(NONE));
        self.list(node, level).iter().zip(padded).for_each(|(place, link)| place.store(link, Relaxed));
    }

    fn list(&self, node: u32, level: u8) -> &[AtomicU32] {
        if level == 0 { &self.ground[ground(node)] } else { &self.upper[self.shape.upper(node, level)] }
    }

    /// Links `from` with `to`; when it has no room left, the links worth most are kept.
    fn link_back(&self, from: u32, to: u32, level: u8, worker: &mut Worker) {
        let _held = lock(&self.locks[from as usize]);
        let places = self.list(from, level);
        if let Some(free) = places.iter().find(|place| place.load(Relaxed) == NONE) {
            free.store(to, Relaxed);
            return;
        }
        let codes = self.rows.codes;
        worker.nodes.clear();
        worker.nodes.extend(places.iter().map(|place| place.load(Relaxed)));
        worker.nodes.push(to);
        codes.probe_of_row(from, &mut worker.back);
        worker.scores.resize(worker.nodes.len(), 0.0);
        codes.estimate(&worker.back, &worker.nodes, &mut worker.scores);
        let mut found: Vec<(f32, u32)> = worker.scores.iter().copied().zip(worker.nodes.iter().copied()).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let links = worker.chooser.choose(codes, from, &worker.back, &found, places.len());
        self.write(from, level, &links);
    }
}

fn links_at(level: u8) -> usize {
    if level == 0 { GROUND_LINKS } else { UPPER_LINKS }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What the locks guard is whole after every store; a thread that panicked leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    room: Room,
    probe: Probe,
    back: Probe,
    nodes: Vec<u32>,
    scores: Vec<f32>,
    chooser: Chooser,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            room: Room::default(),
            probe: Probe::empty(),
            back: Probe::empty(),
            nodes: Vec::new(),
            scores: Vec::new(),
            chooser: Chooser { probe: Probe::empty(), scores: Vec::new() },
        }
    }
}

struct Chooser {
    probe: Probe,
    scores: Vec<f32>,
}

impl Chooser {
    /// Of the rows found, nearest first, those that lie in different directions: one that is nearer to a row chosen
    /// before than to the node is reached through that one.
    fn choose(&mut self, codes: &Codes, node: u32, probe: &Probe, found: &[(f32, u32)], most: usize) -> Vec<u32> {
        let mut own = [0.0];
        codes.estimate(probe, &[node], &mut own);
        let same = own[0] * SAME;
        let mut chosen: Vec<u32> = Vec::with_capacity(most);
        let mut copies = 0;
        for (score, row) in found {
            if chosen.len() == most {
                break;
            }
            if *row == node || chosen.contains(row) {
                continue;
            }
            if *score >= same {
                copies += 1;
                if copies <= COPIES {
                    chosen.push(*row);
                }
                continue;
            }
            if !self.is_nearer_to_any(codes, *row, &chosen, *score) {
                chosen.push(*row);
            }
        }
        chosen
    }

    fn is_nearer_to_any(&mut self, codes: &Codes, row: u32, chosen: &[u32], score: f32) -> bool {
        codes.probe_of_row(row, &mut self.probe);
        chosen.chunks(8).any(|chosen| {
            self.scores.resize(chosen.len(), 0.0);
            codes.estimate(&self.probe, chosen, &mut self.scores);
            self.scores.iter().any(|to_chosen| *to_chosen > score)
        })
    }
}
