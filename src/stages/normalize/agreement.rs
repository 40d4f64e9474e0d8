//! Our findings against a reference validator's: does either see an error in a file, and do they agree?
//!
//! Read only where the cases lie beside the project. FHIR in JSON alone; XML has a reader of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::tests::{delivery, shared, source};
use super::{Origin, normalize};
use crate::domain::{Format, QuarantineReason, Severity};
use crate::stages::split::{Piece, split};

/// What we say against a file: rules of severity error and reasons of quarantine; nothing is "no error".
fn complaints(format: Format, bytes: Vec<u8>) -> BTreeSet<String> {
    let source = source();
    let delivery = delivery(format, bytes);
    let origin = Origin { source: &source, format, name: None, received_at: delivery.received_at };
    let mut complaints = BTreeSet::new();
    for piece in split(&delivery, None) {
        let normalized = match piece {
            Piece::Record(record) => normalize(&record, &origin),
            Piece::Unreadable { unreadable, .. } => Err(unreadable),
        };
        match normalized {
            Ok(normalized) => {
                let errors = normalized.findings.into_iter().filter(|finding| finding.severity == Severity::Error);
                complaints.extend(errors.map(|finding| format!("{} {}", finding.rule, finding.path)));
            }
            // Not being able to show a PDF is no fault of the sender's.
            Err(unreadable) if unreadable.reason == QuarantineReason::UnreadableAttachment => {}
            Err(unreadable) => {
                complaints.insert(format!("{}: {}", unreadable.reason.as_str(), unreadable.detail));
            }
        }
    }
    complaints
}

#[derive(Default)]
struct Agreement {
    both: usize,
    neither: usize,
    ours_only: usize,
    theirs_only: usize,
}

impl Agreement {
    fn add(&mut self, ours: bool, theirs: bool) {
        match (ours, theirs) {
            (true, true) => self.both += 1,
            (false, false) => self.neither += 1,
            (true, false) => self.ours_only += 1,
            (false, true) => self.theirs_only += 1,
        }
    }

    fn cases(&self) -> usize {
        self.both + self.neither + self.ours_only + self.theirs_only
    }

    fn agreeing(&self) -> usize {
        self.both + self.neither
    }
}

#[test]
fn our_findings_agree_with_a_reference_validator() {
    let Some(folder) = shared("fhir-malformed") else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&manifest).unwrap();
    let mut modules: BTreeMap<String, Agreement> = BTreeMap::new();
    let mut all = Agreement::default();
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        let format = match file.rsplit('.').next() {
            Some("json") => Format::FhirJson,
            Some("ndjson") => Format::FhirNdjson,
            _ => continue,
        };
        // A case without an outcome says nothing to compare with.
        let Some(errors) = case["errors"].as_u64() else { continue };
        let ours = complaints(format, std::fs::read(folder.join("files").join(file)).unwrap());
        let theirs = errors + case["fatal"].as_u64().unwrap_or(0) > 0;
        if ours.is_empty() == theirs {
            let side = if theirs { "only they see an error" } else { "only we see an error" };
            eprintln!("{side}: {file} ({}) {:?}", case["module"], ours.iter().take(4).collect::<Vec<_>>());
        }
        all.add(!ours.is_empty(), theirs);
        modules.entry(case["module"].as_str().unwrap().to_owned()).or_default().add(!ours.is_empty(), theirs);
    }
    eprintln!("module        cases both neither ours-only theirs-only agreement");
    for (name, of) in modules.iter().map(|(name, of)| (name.as_str(), of)).chain([("all", &all)]) {
        let share = of.agreeing() as f64 * 100.0 / of.cases() as f64;
        eprintln!(
            "{name:12} {:6} {:4} {:7} {:9} {:11} {share:8.1} %",
            of.cases(),
            of.both,
            of.neither,
            of.ours_only,
            of.theirs_only
        );
    }
    assert_eq!((all.both, all.neither, all.ours_only, all.theirs_only), (56, 33, 6, 19));
}
