//! Which sequences are computed together.

use std::ops::Range;

use super::packed::Sequence;

/// Tokens of a group beyond which more would not make a thread any faster.
const GROUP_TOKENS: usize = 512;
/// Tokens of a padded batch, padding included.
const BATCH_TOKENS: usize = 1024;
/// No sequence of a padded batch is shorter than this part of its longest.
const SHORTEST_PART: f32 = 0.85;

/// Runs of sequences with about as many tokens each, at least one for every thread where there are enough sequences.
pub(super) fn even_groups(sequences: &[Sequence], threads: usize) -> Vec<Range<usize>> {
    let total: usize = sequences.iter().map(|sequence| sequence.ids.len()).sum();
    let threads = threads.max(1);
    let rounds = total.div_ceil(GROUP_TOKENS * threads).max(1);
    let share = total.div_ceil(rounds * threads).max(1);
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut start, mut seen) = (0, 0);
    for (at, sequence) in sequences.iter().enumerate() {
        // A group ends as near as can be to a multiple of the share: no group's excess adds to the next's.
        let target = share * (groups.len() + 1);
        let with = seen + sequence.ids.len();
        if at > start && with > target && with - target > target.saturating_sub(seen) {
            groups.push(start..at);
            start = at;
        }
        seen = with;
    }
    if start < sequences.len() {
        groups.push(start..sequences.len());
    }
    groups
}

/// Positions of the sequences, longest first, in batches of near-equal length.
pub(super) fn similar_batches(sequences: &[Sequence]) -> Vec<Vec<usize>> {
    let length = |at: usize| sequences.get(at).map_or(0, |sequence| sequence.ids.len());
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(length(*at)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for at in order {
        match batches.last_mut() {
            Some(batch)
                if (batch.len() + 1) * longest <= BATCH_TOKENS
                    && length(at) as f32 >= SHORTEST_PART * longest as f32 =>
            {
                batch.push(at);
            }
            _ => {
                longest = length(at);
                batches.push(vec![at]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(count: usize) -> Vec<Vec<u32>> {
        (0..count).map(|n: usize| vec![1; n * 37 % 256 + 2]).collect()
    }

    #[test]
    fn groups_hold_every_sequence_once_in_order_and_are_even() {
        for count in [0, 1, 2, 3, 20, 200] {
            let sequences = lengths(count);
            let sequences: Vec<Sequence> = sequences.iter().map(|ids| Sequence::single(ids)).collect();
            let groups = even_groups(&sequences, 2);
            assert_eq!(groups.iter().cloned().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            assert!(groups.iter().all(|group| !group.is_empty()));
            let tokens = |group: &Range<usize>| sequences[group.clone()].iter().map(|one| one.ids.len()).sum::<usize>();
            assert!(groups.iter().all(|group| tokens(group) <= GROUP_TOKENS + 258));
            if count >= 3 {
                assert!(groups.len() >= 2, "each thread has work");
            }
        }
    }

    #[test]
    fn batches_hold_every_sequence_once_and_near_equal_lengths() {
        let sequences = lengths(200);
        let sequences: Vec<Sequence> = sequences.iter().map(|ids| Sequence::single(ids)).collect();
        let batches = similar_batches(&sequences);
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        for batch in batches {
            let lengths: Vec<usize> = batch.iter().map(|at| sequences[*at].ids.len()).collect();
            let longest = lengths.iter().max().unwrap();
            assert!(longest * batch.len() <= BATCH_TOKENS);
            assert!(*lengths.iter().min().unwrap() as f32 >= SHORTEST_PART * *longest as f32);
        }
    }
}
