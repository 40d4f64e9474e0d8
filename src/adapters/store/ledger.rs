//! What the records of a batch come to, decided in the order they came: versions, tombstones, counts.
//!
//! Nothing is written here. What is decided is noted as pending, and counts as held for the records that follow.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::judge::{Burial, Disposition, Held, Place};
use super::known::Known;
use super::outcomes::{Named, RecordOutcome};
use crate::domain::{
    Account, Changes, ContentHash, Delivery, Document, DocumentId, DocumentStatus, Finding, Kind, Labels, Outcome,
    PatientId, SourceId, Times, Timestamp, Unreadable,
};

/// Where a document version comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// Which part of the batch.
    pub slice: usize,
    pub delivery: &'a Delivery,
    pub ordinal: u32,
}

/// A version to be written.
pub(super) struct NewVersion<'a> {
    pub origin: Origin<'a>,
    pub id: DocumentId,
    pub version: i64,
    pub is_latest: bool,
    pub document: Cow<'a, Document>,
    pub content_hash: ContentHash,
    /// Whom it belongs to, where that isn't whom it names.
    pub survivor: Option<PatientId>,
    pub part_of: Option<&'a DocumentId>,
}

/// A version that says "gone", made from the one before it.
pub(super) struct Tombstone<'a> {
    pub origin: Origin<'a>,
    pub id: DocumentId,
    pub version: i64,
    pub is_latest: bool,
    pub source_time: Option<Timestamp>,
}

/// A version that came or went, to be numbered.
pub(super) struct Changed<'a> {
    pub origin: Origin<'a>,
    pub id: DocumentId,
    pub version: i64,
}

pub(super) struct HeldRecord<'a> {
    pub origin: Origin<'a>,
    pub bytes: &'a [u8],
    pub unreadable: &'a Unreadable,
}

pub(super) struct Found<'a> {
    pub origin: Origin<'a>,
    pub number: usize,
    pub document: Option<DocumentId>,
    pub finding: &'a Finding,
}

/// All that waits to be written, in the order it was decided.
#[derive(Default)]
pub(super) struct Pending<'a> {
    pub versions: Vec<NewVersion<'a>>,
    pub tombstones: Vec<Tombstone<'a>>,
    pub changes: Vec<Changed<'a>>,
    /// Stored versions that are the latest no more.
    pub superseded: Vec<(DocumentId, i64)>,
    pub quarantined: Vec<HeldRecord<'a>>,
    pub findings: Vec<Found<'a>>,
    pub newest_source_times: BTreeMap<&'a SourceId, Timestamp>,
}

/// One tenant's part of a batch.
pub(super) struct Ledger<'a, 'k> {
    pub known: &'k mut Known,
    pending: Pending<'a>,
    /// Tells what is pending now from what was before.
    flush: usize,
}

impl<'a, 'k> Ledger<'a, 'k> {
    pub fn new(known: &'k mut Known) -> Self {
        let flush = known.next_flush();
        Self { known, pending: Pending::default(), flush }
    }

    /// How many versions wait to be written.
    pub fn pending(&self) -> usize {
        self.pending.versions.len() + self.pending.tombstones.len()
    }

    /// What is to be written now; it counts as stored from here on.
    pub fn take_pending(&mut self) -> Pending<'a> {
        self.flush = self.known.next_flush();
        std::mem::take(&mut self.pending)
    }

    /// Decides about one record. `has_merged`: its merges, which come first, changed something.
    pub fn record(&mut self, origin: Origin<'a>, record: &'a RecordOutcome, has_merged: bool, account: &mut Account) {
        account.records += 1;
        let normalized = match &record.result {
            Ok(normalized) => normalized,
            Err(unreadable) => {
                *account.quarantined.entry(unreadable.reason).or_default() += 1;
                self.pending.quarantined.push(HeldRecord { origin, bytes: &record.bytes, unreadable });
                return;
            }
        };
        let mut about = record.base();
        match &normalized.outcome {
            Outcome::Documents(documents) => self.documents(origin, documents, &record.documents, account),
            Outcome::Removed { .. } => {
                account.removed += 1;
                about = record.removed.first();
                for id in &record.removed {
                    self.withdraw(origin, id, None);
                }
            }
            Outcome::Changes(changes) => self.changes(origin, changes, record, has_merged, account),
            Outcome::CarriesNothing { name } => {
                *account.carrying_nothing.entry(name.clone()).or_default() += 1;
                about = None;
            }
        }
        account.findings += normalized.findings.len() as u64;
        let findings = normalized.findings.iter().enumerate();
        self.pending.findings.extend(findings.map(|(number, finding)| Found {
            origin,
            number,
            document: about.cloned(),
            finding,
        }));
    }

    /// The documents of one record: the first stands for it, the others are its further parts.
    fn documents(&mut self, origin: Origin<'a>, documents: &'a [Document], names: &'a [Named], account: &mut Account) {
        let before = self.pending.changes.len();
        let mut is_stale = false;
        if let Some((base, named)) = documents.first().zip(names.first()) {
            let disposition = self.document(origin, base, named, None);
            count(disposition, base, account);
            is_stale = disposition == Disposition::Stale;
            // An older state of the record is older in all its parts, also in those that it has lost since.
            if !is_stale {
                is_stale = self.parts(origin, documents, names, account);
                if !is_stale {
                    self.withdraw_lost_parts(origin, base.times.source, names);
                }
            }
        }
        match (self.pending.changes.len() > before, is_stale) {
            (true, _) => account.stored += 1,
            (false, true) => account.stale += 1,
            (false, false) => account.unchanged += 1,
        }
    }

    /// Returns whether any of them is older than what is held.
    fn parts(
        &mut self,
        origin: Origin<'a>,
        documents: &'a [Document],
        names: &'a [Named],
        account: &mut Account,
    ) -> bool {
        let base = names.first().map(|named| &named.id);
        let mut is_stale = false;
        for (part, named) in documents.iter().zip(names).skip(1) {
            let disposition = self.document(origin, part, named, base);
            count(disposition, part, account);
            is_stale |= disposition == Disposition::Stale;
        }
        is_stale
    }

    fn withdraw_lost_parts(&mut self, origin: Origin<'a>, at: Option<Timestamp>, names: &'a [Named]) {
        let Some(base) = names.first() else { return };
        let kept: BTreeSet<&DocumentId> = names.iter().map(|named| &named.id).collect();
        for part in self.known.parts(&base.id) {
            if !kept.contains(&part) {
                self.bury(origin, &part, at);
            }
        }
    }

    /// Several effects of one record, whose documents are independent of each other.
    fn changes(
        &mut self,
        origin: Origin<'a>,
        changes: &'a Changes,
        record: &'a RecordOutcome,
        has_merged: bool,
        account: &mut Account,
    ) {
        let before = self.pending.changes.len();
        for (removal, id) in changes.removals.iter().zip(&record.removed) {
            if !self.withdraw(origin, id, removal.at)
                && let Some(at) = removal.at
                && self.known.held(id).is_none()
            {
                self.bury_beforehand(origin, id, &removal.source_key, at);
            }
        }
        let removals = self.pending.changes.len() - before;
        let mut is_stale = false;
        for (document, named) in changes.documents.iter().zip(&record.documents) {
            let disposition = self.document(origin, document, named, None);
            count(disposition, document, account);
            is_stale |= disposition == Disposition::Stale;
        }
        let brought = self.pending.changes.len() - before - removals;
        match (brought > 0 || has_merged, removals > 0) {
            (true, _) => account.stored += 1,
            (false, true) if changes.documents.is_empty() => account.removed += 1,
            (false, true) => account.stored += 1,
            (false, false) if is_stale => account.stale += 1,
            (false, false) => account.unchanged += 1,
        }
    }

    fn document(
        &mut self,
        origin: Origin<'a>,
        document: &'a Document,
        named: &'a Named,
        part_of: Option<&'a DocumentId>,
    ) -> Disposition {
        let held = self.known.held(&named.id);
        let disposition = held
            .map_or(Disposition::Added, |held| held.judge(document, &named.content_hash, origin.delivery.received_at));
        if disposition.brings_a_version() {
            if let Some(base) = part_of {
                self.known.add_part(base, &named.id);
            }
            if let Some(time) = document.times.source {
                let newest = self.pending.newest_source_times.entry(&origin.delivery.source).or_insert(time);
                *newest = time.max(*newest);
            }
            self.put(origin, &named.id, Cow::Borrowed(document), named.content_hash.clone(), part_of);
        }
        disposition
    }

    fn put(
        &mut self,
        origin: Origin<'a>,
        id: &DocumentId,
        document: Cow<'a, Document>,
        content_hash: ContentHash,
        part_of: Option<&'a DocumentId>,
    ) {
        let survivor = document.patient.as_ref().map(|patient| self.known.survivor(patient).clone());
        let held = Held {
            version: self.supersede(id) + 1,
            source_version: document.source_version.clone(),
            source_time: document.times.source,
            received_at: origin.delivery.received_at,
            is_deleted: document.status == DocumentStatus::Deleted,
            content_hash: content_hash.clone(),
            patient: survivor,
            place: Place::Version { flush: self.flush, index: self.pending.versions.len() },
        };
        let survivor = held.patient.clone().filter(|survivor| document.patient.as_ref() != Some(survivor));
        let (id, version) = (id.clone(), held.version);
        self.pending.changes.push(Changed { origin, id: id.clone(), version });
        self.known.hold(id.clone(), held);
        let version = NewVersion { origin, id, version, is_latest: true, document, content_hash, survivor, part_of };
        self.pending.versions.push(version);
    }

    /// Marks a record and its further parts as deleted; returns whether there was any.
    fn withdraw(&mut self, origin: Origin<'a>, id: &DocumentId, at: Option<Timestamp>) -> bool {
        let mut is_withdrawn = self.bury(origin, id, at);
        for part in self.known.parts(id) {
            is_withdrawn |= self.bury(origin, &part, at);
        }
        is_withdrawn
    }

    fn bury(&mut self, origin: Origin<'a>, id: &DocumentId, at: Option<Timestamp>) -> bool {
        let Some(held) = self.known.held(id).cloned() else { return false };
        let Burial::Buried(source_time) = held.bury(at) else { return false };
        let version = self.supersede(id) + 1;
        let place = Place::Tombstone { flush: self.flush, index: self.pending.tombstones.len() };
        let content_hash = ContentHash(String::new());
        let received_at = origin.delivery.received_at;
        let held = Held { version, source_time, received_at, is_deleted: true, content_hash, place, ..held };
        self.known.hold(id.clone(), held);
        self.pending.changes.push(Changed { origin, id: id.clone(), version });
        self.pending.tombstones.push(Tombstone { origin, id: id.clone(), version, is_latest: true, source_time });
        true
    }

    /// A tombstone for what hasn't come yet, so that it stays removed when it comes late.
    fn bury_beforehand(&mut self, origin: Origin<'a>, id: &DocumentId, source_key: &str, at: Timestamp) {
        let document = Document {
            source_key: source_key.to_owned(),
            source_version: None,
            kind: Kind::Other,
            resource_type: String::new(),
            patient: None,
            encounter: None,
            title: String::new(),
            author: None,
            times: Times { effective: None, source: Some(at) },
            labels: Labels::default(),
            status: DocumentStatus::Deleted,
            text: String::new(),
            sections: Vec::new(),
            pages: Vec::new(),
            facts: Vec::new(),
        };
        self.put(origin, id, Cow::Owned(document), ContentHash(String::new()), None);
    }

    /// Takes "latest" from the version held; returns its number, 0 when there is none.
    fn supersede(&mut self, id: &DocumentId) -> i64 {
        let Some(held) = self.known.held(id) else { return 0 };
        let pending = &mut self.pending;
        match held.place {
            Place::Version { flush, index } if flush == self.flush => {
                pending.versions.get_mut(index).into_iter().for_each(|pending| pending.is_latest = false);
            }
            Place::Tombstone { flush, index } if flush == self.flush => {
                pending.tombstones.get_mut(index).into_iter().for_each(|pending| pending.is_latest = false);
            }
            _ => pending.superseded.push((id.clone(), held.version)),
        }
        held.version
    }
}

fn count(disposition: Disposition, document: &Document, account: &mut Account) {
    let counted = match disposition {
        Disposition::Added => &mut account.added,
        Disposition::Replaced => &mut account.changed,
        Disposition::Unchanged | Disposition::Stale => return,
    };
    *counted += 1;
    account.documents += 1;
    account.facts += document.facts.len() as u64;
}
