//! Asking a graph: plainly, or for rows that pass a filter.

use std::cell::RefCell;

use super::beam::{Links, Room, descend, walk};
use super::{Graph, NONE, ground};
use crate::codes::{Codes, Probe};
use crate::distance::prefetch;
use crate::nearest::Near;

/// Rows that may be found, by position.
#[derive(Clone, Copy)]
pub struct Allowed<'a> {
    pub words: &'a [u64],
    /// Some of them, spread over all: where to begin, as the nearest row of all may have none of them about it.
    pub starts: &'a [u32],
    /// Which part of the partition they are, 0 to 1.
    pub share: f32,
}

impl Allowed<'_> {
    #[inline]
    fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}

#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub partition: u32,
    /// How many rows are held in view: more find more, and take longer.
    pub width: usize,
    /// Absent when every row of the partition may be found.
    pub allowed: Option<Allowed<'a>>,
    /// The search is given up when it has compared more rows than this.
    pub most_compared: usize,
}

pub struct Found {
    /// By the codes' estimate, best first; up to `width`.
    pub near: Vec<Near>,
    pub compared: usize,
    /// False when it was given up; then nothing is said of what is near.
    pub is_complete: bool,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// How many of the rows it began with are followed.
const STARTS_FOLLOWED: usize = 8;
/// Rows about the query that are looked at, allowed or not, before anything else.
const LOOK: usize = 32;
/// Where allowed rows are rarer about the query than elsewhere by this factor, the filter goes against the query: what
/// it leaves lies far off in all directions, and links don't lead there.
const RARER: f32 = 8.0;

impl Links for Graph {
    fn rows(&self) -> usize {
        self.shape.levels.len()
    }

    #[inline]
    fn links(&self, node: u32, level: u8, into: &mut Vec<u32>) {
        let list = if level == 0 { &self.ground[ground(node)] } else { &self.upper[self.shape.upper(node, level)] };
        into.clear();
        into.extend(list.iter().take_while(|link| **link != NONE));
    }
}

impl Graph {
    /// The rows nearest to the probe that can be found; `codes` are those it was built over, or more.
    pub fn search(&self, codes: &Codes, probe: &Probe, ask: Ask<'_>) -> Found {
        let nothing = Found { near: Vec::new(), compared: 0, is_complete: true };
        let Some(entry) = self.entries.get(ask.partition as usize).filter(|entry| entry.node != NONE) else {
            return nothing;
        };
        ROOM.with_borrow_mut(|room| {
            room.compared = 0;
            let mut near = entry.node;
            for level in (1..=entry.level).rev() {
                near = descend(self, codes, probe, level, near, room);
            }
            let is_complete = match &ask.allowed {
                None => {
                    walk(self, codes, probe, 0, &[near], ask.width, room);
                    true
                }
                Some(allowed) => self.walk_allowed(codes, probe, near, allowed, &ask, room),
            };
            if !is_complete {
                return Found { compared: room.compared, is_complete, ..nothing };
            }
            let entries = room.beam.entries().iter();
            let near = entries.map(|candidate| Near { score: candidate.score, position: candidate.node }).collect();
            Found { near, compared: room.compared, is_complete }
        })
    }

    /// Walks over allowed rows only, stepping over the others to those behind them.
    fn walk_allowed(
        &self,
        codes: &Codes,
        probe: &Probe,
        near: u32,
        allowed: &Allowed<'_>,
        ask: &Ask<'_>,
        room: &mut Room,
    ) -> bool {
        walk(self, codes, probe, 0, &[near], LOOK, room);
        let about: Vec<u32> = room.beam.entries().iter().map(|entry| entry.node).collect();
        let mut starts: Vec<u32> = about.iter().copied().filter(|row| allowed.contains(*row)).collect();
        if starts.len() as f32 * RARER < allowed.share * about.len() as f32 {
            return false;
        }
        // The best of the starts, to be followed beside the walk's own.
        room.begin(self.rows(), STARTS_FOLLOWED);
        room.gathered.extend(allowed.starts.iter().filter(|start| allowed.contains(**start)));
        room.compare(codes, probe);
        starts.extend(room.beam.entries().iter().map(|start| start.node));
        room.begin(self.rows(), ask.width);
        room.bridges.begin(self.rows());
        for start in starts {
            if room.seen.insert(start) {
                room.gathered.push(start);
            }
        }
        self.gather(near, allowed, room);
        room.compare(codes, probe);
        let mut from = 0;
        while let Some((at, node)) = room.beam.next(from) {
            self.gather(node, allowed, room);
            from = room.compare(codes, probe).min(at);
            if room.compared > ask.most_compared {
                return false;
            }
        }
        true
    }

    /// Adds the allowed rows that a row links with, and those behind its other links.
    fn gather(&self, node: u32, allowed: &Allowed<'_>, room: &mut Room) {
        room.links.clear();
        for link in self.ground[ground(node)].iter().take_while(|link| **link != NONE) {
            if !allowed.contains(*link) {
                if room.bridges.insert(*link) {
                    prefetch(&self.ground[ground(*link)]);
                    room.links.push(*link);
                }
            } else if room.seen.insert(*link) {
                room.gathered.push(*link);
            }
        }
        for bridge in &room.links {
            for link in self.ground[ground(*bridge)].iter().take_while(|link| **link != NONE) {
                if allowed.contains(*link) && room.seen.insert(*link) {
                    room.gathered.push(*link);
                }
            }
        }
    }
}
