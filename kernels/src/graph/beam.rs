//! What a search through the graph keeps: the best rows seen, which rows were seen, and room to work in.

use crate::codes::{Codes, Probe};

/// The best rows seen, best first, and which of them were looked behind.
#[derive(Default)]
pub struct Beam {
    entries: Vec<Candidate>,
    width: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub score: f32,
    pub node: u32,
    pub expanded: bool,
}

impl Candidate {
    fn before(&self, score: f32, node: u32) -> bool {
        self.score > score || (self.score == score && self.node < node)
    }
}

impl Beam {
    pub fn begin(&mut self, width: usize) {
        self.entries.clear();
        self.width = width;
    }

    pub fn entries(&self) -> &[Candidate] {
        &self.entries
    }

    /// Takes a row in if it is among the best; says at which place.
    #[inline]
    pub fn offer(&mut self, score: f32, node: u32) -> Option<usize> {
        if self.entries.len() == self.width {
            match self.entries.last() {
                Some(last) if !last.before(score, node) => {
                    self.entries.pop();
                }
                _ => return None,
            }
        }
        let at = self.entries.partition_point(|candidate| candidate.before(score, node));
        self.entries.insert(at, Candidate { score, node, expanded: false });
        Some(at)
    }

    /// The best row not looked behind yet, from place `from` on.
    #[inline]
    pub fn next(&mut self, from: usize) -> Option<(usize, u32)> {
        let at = from + self.entries.get(from..)?.iter().position(|candidate| !candidate.expanded)?;
        let candidate = self.entries.get_mut(at)?;
        candidate.expanded = true;
        Some((at, candidate.node))
    }
}

/// A set of rows that is cleared in the time it took to fill.
#[derive(Default)]
pub struct Seen {
    words: Vec<u64>,
    touched: Vec<u32>,
}

impl Seen {
    pub fn begin(&mut self, rows: usize) {
        for word in self.touched.drain(..) {
            self.words[word as usize] = 0;
        }
        if self.words.len() * 64 < rows {
            self.words.resize(rows.div_ceil(64), 0);
        }
    }

    /// Whether it is new.
    #[inline]
    pub fn insert(&mut self, row: u32) -> bool {
        let word = &mut self.words[row as usize / 64];
        let is_new = *word & (1 << (row % 64)) == 0;
        if *word == 0 {
            self.touched.push(row / 64);
        }
        *word |= 1 << (row % 64);
        is_new
    }
}

/// Room for one search at a time.
#[derive(Default)]
pub struct Room {
    pub beam: Beam,
    pub seen: Seen,
    pub links: Vec<u32>,
    pub gathered: Vec<u32>,
    pub estimates: Vec<f32>,
}

impl Room {
    pub fn begin(&mut self, rows: usize, width: usize) {
        self.beam.begin(width);
        self.seen.begin(rows);
        self.gathered.clear();
    }

    /// Compares what was gathered and offers it to the beam; the best place any of it took.
    pub fn compare(&mut self, codes: &Codes, probe: &Probe) -> usize {
        self.estimates.resize(self.gathered.len(), 0.0);
        codes.estimate(probe, &self.gathered, &mut self.estimates);
        let mut first = usize::MAX;
        for (node, score) in self.gathered.drain(..).zip(&self.estimates) {
            if let Some(at) = self.beam.offer(*score, node) {
                first = first.min(at);
            }
        }
        first
    }
}

/// A graph's links, whether it is being built or done.
pub trait Links {
    fn rows(&self) -> usize;

    /// Replaces `into` with the links of a node at a level.
    fn links(&self, node: u32, level: u8, into: &mut Vec<u32>);
}

/// Walks to the node of a level that is nearest, as far as its links lead.
pub fn descend(graph: &impl Links, codes: &Codes, probe: &Probe, level: u8, from: u32, room: &mut Room) -> u32 {
    let mut here = from;
    let mut score = [0.0];
    codes.estimate(probe, &[here], &mut score);
    let mut best = score[0];
    loop {
        graph.links(here, level, &mut room.links);
        room.estimates.resize(room.links.len(), 0.0);
        codes.estimate(probe, &room.links, &mut room.estimates);
        let before = here;
        for (node, score) in room.links.iter().zip(&room.estimates) {
            if *score > best {
                (here, best) = (*node, *score);
            }
        }
        if here == before {
            return here;
        }
    }
}

/// Fills the room's beam with the nearest nodes of a level that can be reached from `starts`.
pub fn walk(
    graph: &impl Links,
    codes: &Codes,
    probe: &Probe,
    level: u8,
    starts: &[u32],
    width: usize,
    room: &mut Room,
) {
    room.begin(graph.rows(), width);
    for start in starts {
        if room.seen.insert(*start) {
            room.gathered.push(*start);
        }
    }
    room.compare(codes, probe);
    let mut from = 0;
    while let Some((at, node)) = room.beam.next(from) {
        graph.links(node, level, &mut room.links);
        for link in &room.links {
            if room.seen.insert(*link) {
                room.gathered.push(*link);
            }
        }
        from = room.compare(codes, probe).min(at);
    }
}
