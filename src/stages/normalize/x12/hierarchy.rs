//! The `HL` levels of a set as a tree: who asks whom about whom.

use std::collections::HashMap;
use std::ops::Range;

use crate::domain::{Finding, Severity};

use super::envelope::finding;
use super::segments::Segment;
use super::transaction::Transaction;

/// Kinds of levels from the top down; a parent always stands above its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// 20: payer, utilization manager, billing provider.
    Source,
    /// 21: who asks.
    Receiver,
    /// 19
    Provider,
    /// 22
    Subscriber,
    /// 23, and `PT` of claim acknowledgements.
    Patient,
    Event,
    Service,
}

impl Level {
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "20" => Self::Source,
            "21" => Self::Receiver,
            "19" => Self::Provider,
            "22" => Self::Subscriber,
            "23" | "PT" => Self::Patient,
            "EV" => Self::Event,
            "SS" => Self::Service,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub level: Level,
    /// Always an earlier node of a higher level.
    pub parent: Option<usize>,
    /// Its own segments behind `HL`, without those of its children.
    pub range: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Hierarchy {
    pub nodes: Vec<Node>,
    pub findings: Vec<Finding>,
    /// What stands before the first level.
    pub head: Range<usize>,
}

impl Hierarchy {
    /// Parents by `HL02`; one that isn't there, or doesn't stand above, is the nearest before that does.
    pub fn read(transaction: &Transaction<'_>) -> Self {
        let body = &transaction.body;
        let starts: Vec<usize> = (0..body.len()).filter(|at| body.get(*at).is_some_and(|s| s.is("HL"))).collect();
        let head = 0..starts.first().copied().unwrap_or(body.len());
        let mut tree = Self { nodes: Vec::new(), findings: Vec::new(), head };
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        let mut latest: Vec<(Level, usize)> = Vec::new();
        for (position, start) in starts.iter().enumerate() {
            let end = starts.get(position + 1).copied().unwrap_or(body.len());
            let Some(hl) = body.get(*start) else { continue };
            let level = Level::of(hl.get(3)).unwrap_or_else(|| {
                tree.findings.push(transaction.warning("unknown_code", hl, 3));
                Level::Service
            });
            latest.retain(|(above, _)| *above < level);
            let above = |node: &usize| tree.nodes.get(*node).is_some_and(|node: &Node| node.level < level);
            let declared = hl.given(2).and_then(|id| by_id.get(id).copied()).filter(above);
            if declared.is_none() && hl.given(2).is_some() {
                let path = transaction.path(hl, 2);
                tree.findings.push(finding("hierarchy_parent", Severity::Warning, path));
            }
            let nearest = || if hl.given(2).is_some() { latest.last().map(|(_, node)| *node) } else { None };
            let node = Node { level, parent: declared.or_else(nearest), range: start + 1..end };
            by_id.insert(hl.get(1), tree.nodes.len());
            latest.push((level, tree.nodes.len()));
            tree.nodes.push(node);
        }
        tree
    }

    /// The node and those above it, nearest first.
    pub fn upwards(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |at| self.nodes.get(*at).and_then(|node| node.parent))
    }

    /// The nearest of this level at or above the node.
    pub fn at_level(&self, node: usize, level: Level) -> Option<usize> {
        self.upwards(node).find(|at| self.nodes.get(*at).is_some_and(|node| node.level == level))
    }
}

pub(super) fn of<'s, 'a>(segments: &'s [Segment<'a>], range: &Range<usize>) -> &'s [Segment<'a>] {
    segments.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::envelope::Envelope;
    use super::super::segments::Separators;
    use super::*;

    fn parents(levels: &[&str]) -> (Vec<Option<usize>>, usize) {
        let separators =
            Separators { element: b'*', repetition: None, component: None, terminator: b'~', fixed_width: true };
        let segment = |text| Segment::new(text, separators, 1);
        let envelope = Envelope { isa: segment("ISA"), gs: None, st: segment("ST*837*1") };
        let body = levels.iter().map(|text| segment(text)).collect();
        let tree = Hierarchy::read(&Transaction::new(envelope, body, "main"));
        (tree.nodes.iter().map(|node| node.parent).collect(), tree.findings.len())
    }

    #[test]
    fn parents_are_found_by_their_id_and_not_by_order() {
        let levels = ["HL*1**20*1", "HL*2*1*22*1", "HL*3*1*22*0", "HL*4*2*23*0"];
        assert_eq!(parents(&levels), (vec![None, Some(0), Some(0), Some(1)], 0));
    }

    #[test]
    fn a_parent_that_cannot_be_is_replaced_by_the_nearest_above() {
        let levels = ["HL*1**20*1", "HL*2*9*22*1", "HL*3*3*23*0", "HL*4*3*22*0"];
        assert_eq!(parents(&levels), (vec![None, Some(0), Some(1), Some(0)], 3));
    }

    #[test]
    fn ids_that_begin_anew_mean_the_latest() {
        let levels = ["HL*1**20*1", "HL*2*1*22*0", "HL*1**20*1", "HL*2*1*22*0"];
        assert_eq!(parents(&levels), (vec![None, Some(0), None, Some(2)], 0));
    }
}
