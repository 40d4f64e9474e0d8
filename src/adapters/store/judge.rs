//! Whether what comes replaces what is held: by the source's times, its version numbers, or arrival.

use std::cmp::Ordering;

use crate::domain::{ContentHash, Document, PatientId, Timestamp};

/// What the store made of a document that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Added,
    Replaced,
    /// The same content as the latest version.
    Unchanged,
    /// Older than what we hold.
    Stale,
}

impl Disposition {
    pub(super) fn brings_a_version(self) -> bool {
        matches!(self, Self::Added | Self::Replaced)
    }
}

/// The latest version of a document, as far as deciding about the next one needs it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub version: i64,
    pub source_version: Option<String>,
    pub source_time: Option<Timestamp>,
    pub received_at: Timestamp,
    pub is_deleted: bool,
    pub content_hash: ContentHash,
    pub patient: Option<PatientId>,
    pub place: Place,
}

/// Where the latest version stands: in the database, or among what is about to be written in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stored,
    Version { flush: usize, index: usize },
    Tombstone { flush: usize, index: usize },
}

/// What a removal does to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burial {
    /// Gone, as of this time; without one the time of what it removes is kept.
    Buried(Option<Timestamp>),
    /// Gone already, and by no earlier word; or written again since.
    Nothing,
}

impl Held {
    /// What to do with `next`, which arrived at `received_at`.
    pub fn judge(&self, next: &Document, hash: &ContentHash, received_at: Timestamp) -> Disposition {
        if self.content_hash == *hash {
            Disposition::Unchanged
        } else if self.is_newer_than(next, received_at) {
            Disposition::Stale
        } else {
            Disposition::Replaced
        }
    }

    /// The source's times decide; where they don't, its own version numbers; where it has none, arrival.
    ///
    /// A deletion of the same time and number stands: the same bytes sent once more stay deleted.
    fn is_newer_than(&self, next: &Document, received_at: Timestamp) -> bool {
        let counted = |version: &Option<String>| version.as_deref().and_then(|text| text.parse::<i64>().ok());
        let orders = [
            compare(self.source_time, next.times.source),
            compare(counted(&self.source_version), counted(&next.source_version)),
        ];
        match orders.into_iter().flatten().find(|order| order.is_ne()) {
            Some(order) => order.is_gt(),
            None if orders.iter().any(Option::is_some) => self.is_deleted,
            None => self.received_at > received_at,
        }
    }

    /// What a removal said at `at` does; one that was written before what is held comes too late.
    pub fn bury(&self, at: Option<Timestamp>) -> Burial {
        match (at, self.source_time) {
            (Some(at), Some(held)) if at < held || (self.is_deleted && at == held) => Burial::Nothing,
            (None, _) if self.is_deleted => Burial::Nothing,
            (Some(at), _) => Burial::Buried(Some(at)),
            (None, held) => Burial::Buried(held),
        }
    }
}

fn compare<T: Ord>(held: Option<T>, next: Option<T>) -> Option<Ordering> {
    Some(held?.cmp(&next?))
}

#[cfg(test)]
mod tests {
    use super::{Burial, Disposition, Held, Place};
    use crate::domain::{ContentHash, Document, DocumentStatus, Kind, Labels, Times, Timestamp};

    fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros))
    }

    fn held(time: Option<Timestamp>, version: Option<&str>) -> Held {
        Held {
            version: 1,
            source_version: version.map(str::to_owned),
            source_time: time,
            received_at: Timestamp::from_micros(100),
            is_deleted: false,
            content_hash: ContentHash("held".to_owned()),
            patient: None,
            place: Place::Stored,
        }
    }

    fn next(time: Option<Timestamp>, version: Option<&str>) -> Document {
        Document {
            source_key: "Note/1".to_owned(),
            source_version: version.map(str::to_owned),
            kind: Kind::Note,
            resource_type: "DocumentReference".to_owned(),
            patient: None,
            encounter: None,
            title: String::new(),
            author: None,
            times: Times { effective: None, source: time },
            labels: Labels::default(),
            status: DocumentStatus::Current,
            text: "words".to_owned(),
            sections: Vec::new(),
            pages: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn judged(held: &Held, next: &Document, received: i64) -> Disposition {
        held.judge(next, &ContentHash("next".to_owned()), Timestamp::from_micros(received))
    }

    #[test]
    fn an_older_version_is_stale_whenever_it_arrives() {
        assert_eq!(judged(&held(at(5), None), &next(at(4), Some("9")), 900), Disposition::Stale);
        assert_eq!(judged(&held(at(5), Some("2")), &next(at(5), Some("1")), 900), Disposition::Stale);
        assert_eq!(judged(&held(at(5), Some("2")), &next(at(6), Some("1")), 1), Disposition::Replaced);
    }

    #[test]
    fn without_times_or_numbers_the_later_arrival_replaces() {
        assert_eq!(judged(&held(None, None), &next(None, None), 101), Disposition::Replaced);
        assert_eq!(judged(&held(None, None), &next(at(7), Some("x")), 99), Disposition::Stale);
    }

    #[test]
    fn a_deletion_stands_against_its_own_time_and_gives_way_to_a_later_one() {
        let deleted = Held { is_deleted: true, ..held(at(5), None) };
        assert_eq!(judged(&deleted, &next(at(5), None), 900), Disposition::Stale);
        assert_eq!(judged(&deleted, &next(at(6), None), 900), Disposition::Replaced);
        assert_eq!(judged(&held(at(5), None), &next(at(5), None), 900), Disposition::Replaced);
    }

    #[test]
    fn a_removal_buries_what_was_written_before_it() {
        assert_eq!(held(at(5), None).bury(at(6)), Burial::Buried(at(6)));
        assert_eq!(held(at(5), None).bury(at(5)), Burial::Buried(at(5)));
        assert_eq!(held(at(5), None).bury(at(4)), Burial::Nothing);
        assert_eq!(held(at(5), None).bury(None), Burial::Buried(at(5)));
        assert_eq!(held(None, None).bury(at(4)), Burial::Buried(at(4)));
    }

    #[test]
    fn a_second_removal_counts_only_when_it_is_later() {
        let deleted = Held { is_deleted: true, ..held(at(5), None) };
        assert_eq!(deleted.bury(at(5)), Burial::Nothing);
        assert_eq!(deleted.bury(None), Burial::Nothing);
        assert_eq!(deleted.bury(at(7)), Burial::Buried(at(7)));
    }
}
