//! Which rows a query may see: the caller's reach and the query's filters, judged before anything is ranked.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kernels::bits;
use tantivy::schema::Field;

use super::IndexError;
use super::block::{Block, Class, Row};
use super::block_scopes::{Remembered, ScopeKey};
use super::dense::Reached;
use super::row_set::RowSet;
use super::rows::Rows;
use super::schema::DocumentEntry;
use super::snapshot::Snapshot;
use crate::access::{Access, Act, Clearance, Patients};
use crate::domain::{Filters, Labels, PatientId, TenantId};

/// A set of rows that one caller may see, opened by an [`Access`] on one snapshot.
///
/// The same filters give the same scope however they are put, and nothing outside it touches a score.
pub struct Scope {
    rows: Arc<ScopedRows>,
}

/// The rows of a scope, and what was counted or laid out for it once. Of a broad scope this is kept with the snapshot.
pub struct ScopedRows {
    rows: RowSet,
    unrestricted: Option<Unrestricted>,
    lengths: Mutex<HashMap<Field, Lengths>>,
    chunks: OnceLock<usize>,
    pub(super) reached: Reached,
}

/// How long a field is in the rows of a scope.
#[derive(Clone, Copy)]
pub struct Lengths {
    /// Rows that have words at all.
    pub rows: f32,
    /// In terms, at least 1.
    pub mean: f32,
}

/// Of a reach that holds every patient and type: of which tenant, and with which labels. All rows with labels that it
/// covers are the caller's to see, whatever they are; only then may a graph over them be asked.
pub struct Unrestricted {
    tenant: TenantId,
    clearance: Clearance,
}

impl Unrestricted {
    fn of(access: &Access) -> Option<Self> {
        let reach = access.reach();
        let is_whole = reach.is_plain() && reach.windows(Act::Search).any(|window| window.is_everything(Act::Search));
        is_whole.then(|| Self { tenant: access.tenant().clone(), clearance: access.reach().clearance().clone() })
    }

    pub fn covers(&self, tenant: &TenantId, labels: &Labels) -> bool {
        self.tenant == *tenant && self.clearance.covers(labels)
    }
}

/// The broad scopes of one snapshot.
pub type SnapshotScopes = Remembered<ScopedRows>;

impl Scope {
    pub(super) fn rows(&self) -> &RowSet {
        &self.rows.rows
    }

    pub(super) fn scoped(&self) -> &ScopedRows {
        &self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }

    /// How many chunks lie within, counted once.
    pub(super) fn chunks(&self, rows: &Rows) -> usize {
        *self.rows.chunks.get_or_init(|| {
            let is_chunk = |row: &&Row| row.part_of.is_none();
            rows.blocks.iter().map(|block| block.of_set(self.rows()).filter(is_chunk).count()).sum()
        })
    }

    /// The lengths of a field over the scope, counted once.
    pub(super) fn lengths(
        &self,
        field: Field,
        count: impl FnOnce() -> Result<Lengths, IndexError>,
    ) -> Result<Lengths, IndexError> {
        let held = self.rows.lengths.lock().unwrap_or_else(PoisonError::into_inner).get(&field).copied();
        if let Some(lengths) = held {
            return Ok(lengths);
        }
        let lengths = count()?;
        self.rows.lengths.lock().unwrap_or_else(PoisonError::into_inner).insert(field, lengths);
        Ok(lengths)
    }

    pub(super) fn open(snapshot: &Snapshot, access: &Access, filters: &Filters) -> Self {
        let rows = snapshot.rows();
        if let Some(patients) = named_patients(access, filters) {
            return Self { rows: Arc::new(ScopedRows::new(of_patients(rows, access, filters, &patients), access)) };
        }
        let key = Arc::new(ScopeKey::of(access, filters));
        if !access.reach().is_plain() {
            // Consents, grants and conditions aren't part of the key, and some of them change with the clock.
            return Self { rows: Arc::new(ScopedRows::new(of_everyone(rows, access, &key), access)) };
        }
        let scoped = snapshot.scopes.get_or(&key, || ScopedRows::new(of_everyone(rows, access, &key), access));
        Self { rows: scoped }
    }
}

impl ScopedRows {
    fn new(rows: RowSet, access: &Access) -> Self {
        Self {
            rows,
            unrestricted: Unrestricted::of(access),
            lengths: Mutex::default(),
            chunks: OnceLock::new(),
            reached: Reached::default(),
        }
    }

    pub fn rows(&self) -> &RowSet {
        &self.rows
    }

    pub fn unrestricted(&self) -> Option<&Unrestricted> {
        self.unrestricted.as_ref()
    }
}

/// The patients to look under, when the filter or the reach names them; `None` means everyone.
fn named_patients(access: &Access, filters: &Filters) -> Option<BTreeSet<PatientId>> {
    if let Some(patient) = &filters.patient {
        return Some(BTreeSet::from([patient.clone()]));
    }
    let mut named = BTreeSet::new();
    for window in access.reach().windows(Act::Search) {
        match window.patients() {
            Patients::Everyone => return None,
            Patients::Only(patients) => named.extend(patients.iter().cloned()),
        }
    }
    Some(named)
}

fn of_patients(rows: &Rows, access: &Access, filters: &Filters, patients: &BTreeSet<PatientId>) -> RowSet {
    let mut found = RowSet::default();
    for patient in patients {
        let key = (access.tenant().clone(), patient.clone());
        for block in &rows.blocks {
            for document in block.by_patient.get(&key).map(Vec::as_slice).unwrap_or_default() {
                let document = *document as usize;
                let Some(entry) = block.documents.get(document) else { continue };
                if within_reach(access, entry) && passes(filters, entry) {
                    for row in in_sections(block, document, filters).filter(|row| rows.live.contains(row.number)) {
                        found.insert(row.number);
                    }
                }
            }
        }
    }
    found
}

fn of_everyone(rows: &Rows, access: &Access, key: &Arc<ScopeKey>) -> RowSet {
    let mut words = Vec::new();
    for block in &rows.blocks {
        let within = match access.reach().is_plain() {
            true => block.scopes.get_or(key, || within_block(block, access, &key.filters)),
            false => Arc::new(within_block(block, access, &key.filters)),
        };
        let from = block.places.first_word();
        words.resize(words.len().max(from + within.len()), 0);
        bits::unite(&mut words, from, &within);
    }
    let mut found = RowSet::of_words(words);
    found.intersect(&rows.live);
    found
}

/// What a caller may see of the documents of one class.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    None,
    /// It takes the patient to say.
    OfSome,
    All,
}

impl Verdict {
    fn of(class: &Class, access: &Access, filters: &Filters) -> Self {
        let is_wanted = (filters.kinds.is_empty() || filters.kinds.contains(&class.kind))
            && (filters.sources.is_empty() || filters.sources.contains(&class.source));
        let reach = access.reach();
        if !is_wanted || class.tenant != *access.tenant() {
            return Self::None;
        }
        if !reach.is_plain() {
            // What a class has in common doesn't tell: each row is asked about.
            return Self::OfSome;
        }
        if !reach.clearance().covers(&class.labels) {
            return Self::None;
        }
        let windows = reach.windows(Act::Search).filter(|window| window.opens(Act::Search, &class.resource_type));
        windows.fold(Self::None, |verdict, window| match (window.patients(), verdict) {
            (Patients::Everyone, _) | (_, Self::All) => Self::All,
            (Patients::Only(_), _) => Self::OfSome,
        })
    }
}

fn within_block(block: &Block, access: &Access, filters: &Filters) -> Vec<u64> {
    let verdicts: Vec<Verdict> = block.classes.iter().map(|class| Verdict::of(class, access, filters)).collect();
    let mut words = vec![0_u64; block.places.words()];
    let base = block.places.first_word() * 64;
    let is_by_class = filters.encounter.is_none() && filters.from.is_none() && filters.to.is_none();
    for (document, class) in block.class_of.iter().enumerate() {
        let verdict = verdicts.get(*class as usize).copied().unwrap_or(Verdict::None);
        let (Some(entry), true) = (block.documents.get(document), verdict != Verdict::None) else { continue };
        if (verdict == Verdict::OfSome && !within_reach(access, entry)) || !(is_by_class || passes(filters, entry)) {
            continue;
        }
        for row in in_sections(block, document, filters) {
            let at = row.number as usize - base;
            if let Some(word) = words.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
    }
    words
}

fn in_sections<'a>(block: &'a Block, document: usize, filters: &'a Filters) -> impl Iterator<Item = &'a Row> {
    let range = block.rows_of.get(document).cloned().unwrap_or_default();
    block.rows.get(range).unwrap_or_default().iter().filter(|row| {
        filters.sections.is_empty()
            || row
                .section
                .as_deref()
                .is_some_and(|title| filters.sections.iter().any(|wanted| wanted.eq_ignore_ascii_case(title)))
    })
}

fn within_reach(access: &Access, entry: &DocumentEntry) -> bool {
    entry.tenant == *access.tenant()
        && access.reach().profile().gives_whole(entry.kind)
        && access.reach().covers(Act::Search, &entry.row())
}

fn passes(filters: &Filters, entry: &DocumentEntry) -> bool {
    filters.patient.as_ref().is_none_or(|patient| entry.patient.as_ref() == Some(patient))
        && (filters.kinds.is_empty() || filters.kinds.contains(&entry.kind))
        && (filters.sources.is_empty() || filters.sources.contains(&entry.source))
        && filters.encounter.as_ref().is_none_or(|encounter| entry.encounter.as_ref() == Some(encounter))
        && filters.from.is_none_or(|from| entry.as_of >= from)
        && filters.to.is_none_or(|to| entry.as_of <= to)
}
