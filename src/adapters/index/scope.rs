//! Which rows a query may see: the caller's reach and the query's filters, judged before anything is ranked.

use std::collections::BTreeSet;

use super::rows::{Block, RowSet};
use super::schema::DocumentEntry;
use super::snapshot::Snapshot;
use crate::access::{Access, Act, Patients};
use crate::domain::{Filters, PatientId};

/// A set of rows that one caller may see, opened by an [`Access`] on one snapshot.
///
/// The same filters give the same scope however they are put, and nothing outside it touches a score.
pub struct Scope {
    rows: RowSet,
}

impl Scope {
    pub(super) fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// How many chunks lie within.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn open(snapshot: &Snapshot, access: &Access, filters: &Filters) -> Self {
        let mut rows = RowSet::default();
        let patients = named_patients(access, filters);
        for block in &snapshot.rows().blocks {
            match &patients {
                Some(patients) => {
                    for patient in patients {
                        let key = (access.tenant().clone(), patient.clone());
                        for document in block.by_patient.get(&key).map(Vec::as_slice).unwrap_or_default() {
                            take(snapshot, block, *document as usize, access, filters, &mut rows);
                        }
                    }
                }
                None => {
                    for document in 0..block.documents.len() {
                        take(snapshot, block, document, access, filters, &mut rows);
                    }
                }
            }
        }
        Self { rows }
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

fn take(snapshot: &Snapshot, block: &Block, document: usize, access: &Access, filters: &Filters, rows: &mut RowSet) {
    let (Some(entry), Some(range)) = (block.documents.get(document), block.rows_of.get(document)) else { return };
    if !within_reach(access, entry) || !passes(filters, entry) {
        return;
    }
    for row in block.rows.get(range.clone()).unwrap_or_default() {
        let section = row.section.as_deref();
        let in_section = filters.sections.is_empty()
            || section.is_some_and(|title| filters.sections.iter().any(|wanted| wanted.eq_ignore_ascii_case(title)));
        if in_section && snapshot.rows().live.contains(row.number) {
            rows.insert(row.number);
        }
    }
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
