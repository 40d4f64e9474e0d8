//! Asking a graph.

use std::cell::RefCell;

use super::beam::{Links, Room, descend, walk};
use super::{Graph, NONE, ground};
use crate::codes::{Codes, Probe};
use crate::nearest::Near;

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

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
    /// The rows of a partition nearest to the probe that can be found, by the codes' estimate, best first; up to `width`,
    /// which are held in view: more find more, and take longer. `codes` are those it was built over, or more.
    pub fn search(&self, codes: &Codes, probe: &Probe, partition: u32, width: usize) -> Vec<Near> {
        let Some(entry) = self.entries.get(partition as usize).filter(|entry| entry.node != NONE) else {
            return Vec::new();
        };
        ROOM.with_borrow_mut(|room| {
            let mut near = entry.node;
            for level in (1..=entry.level).rev() {
                near = descend(self, codes, probe, level, near, room);
            }
            walk(self, codes, probe, 0, &[near], width, room);
            let entries = room.beam.entries().iter();
            entries.map(|candidate| Near { score: candidate.score, position: candidate.node }).collect()
        })
    }
}
