//! Whole FHIR data sets through split and normalize, with the totals that were checked by eye.

use std::collections::BTreeMap;

use super::tests::{Tally, files, run, shared};
use crate::domain::Format;

/// Files, records, records with documents, documents, facts, records with nothing, removals, quarantined.
type Totals = [usize; 8];

struct Set {
    files: usize,
    tally: Tally,
}

impl Set {
    fn totals(&self) -> Totals {
        let tally = &self.tally;
        [
            self.files,
            tally.pieces,
            tally.with_documents,
            tally.documents.values().sum(),
            tally.facts,
            tally.nothing.values().sum(),
            tally.removed,
            tally.unreadable.values().sum(),
        ]
    }

    /// By reason, without the positions.
    fn quarantined(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for (detail, count) in &self.tally.unreadable {
            *reasons.entry(detail.split(':').next().unwrap_or(detail)).or_default() += count;
        }
        reasons
    }
}

/// `None`, said aloud, when the data isn't there.
fn read(folder: &str, extension: &str, format: Format) -> Option<Set> {
    let mut set = Set { files: 0, tally: Tally::default() };
    for file in files(folder, extension)? {
        set.files += 1;
        run(format, std::fs::read(file).unwrap(), &mut set.tally);
    }
    let names = ["files", "records", "stored", "documents", "facts", "nothing", "removed", "quarantined"];
    let row = names.iter().zip(set.totals()).map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
    eprintln!("{folder}/*.{extension}: {}", row.join(", "));
    eprintln!("  by type {:?}", set.tally.documents);
    eprintln!("  nothing {:?}", set.tally.nothing);
    eprintln!("  quarantined {:?}", set.tally.unreadable);
    eprintln!("  findings {:?}", set.tally.findings);
    assert_eq!(set.quarantined().get("reader_failed"), None);
    Some(set)
}

#[test]
fn an_example_of_nearly_every_type_ends_somewhere() {
    let Some(set) = read("fhir-r4-examples", "json", Format::FhirJson) else { return };
    assert_eq!(set.totals(), [72, 89, 54, 54, 85, 34, 0, 1]);
}

#[test]
fn malformed_files_end_somewhere() {
    let Some(set) = read("fhir-malformed/files", "json", Format::FhirJson) else { return };
    assert_eq!(set.totals(), [116, 219, 132, 132, 215, 69, 0, 18]);
    let expected = [("invalid_resource", 4), ("malformed_json", 10), ("unreadable_attachment", 4)];
    assert_eq!(set.quarantined(), BTreeMap::from(expected));
}

#[test]
fn every_entry_of_the_synthea_bundles_ends_somewhere() {
    let Some(set) = read("fhir-synthea-r4", "json", Format::FhirJson) else { return };
    assert_eq!(set.totals(), [8, 1367, 1343, 1343, 2704, 24, 0, 0]);
    assert_eq!(set.tally.unreadable, BTreeMap::new());
    assert_eq!(set.tally.nothing, BTreeMap::from([("Organization".to_owned(), 12), ("Practitioner".to_owned(), 12)]));
    assert_eq!(set.tally.documents["Observation"], 631);
    assert_eq!(set.tally.findings.get("unresolved_reference"), None);
}

#[test]
fn a_bulk_export_is_read_line_by_line() {
    let Some(set) = read("fhir-ndjson-cumulus/bulk", "ndjson", Format::FhirNdjson) else { return };
    assert_eq!(set.totals(), [21, 41, 27, 27, 31, 12, 0, 2]);
    let Some(notes) = read("fhir-ndjson-cumulus/notes", "ndjson", Format::FhirNdjson) else { return };
    assert_eq!(notes.totals(), [1, 5, 5, 5, 0, 0, 0, 0]);
    assert_eq!(notes.tally.documents["DocumentReference"], 5);
}

#[test]
fn resources_before_and_after_scrubbing_are_read() {
    let before = ("fhir-ndjson-cumulus/phi-in", [28, 28, 18, 18, 51, 5, 0, 5]);
    let after = ("fhir-ndjson-cumulus/phi-out", [28, 28, 17, 17, 31, 5, 0, 6]);
    for (folder, totals) in [before, after] {
        let Some(set) = read(folder, "json", Format::FhirJson) else { return };
        assert_eq!(set.totals(), totals);
    }
}

#[test]
fn claims_of_a_payer_are_read() {
    let Some(set) = read("claims-cms-bfd/fhir", "json", Format::FhirJson) else { return };
    assert_eq!(set.totals(), [19, 31, 31, 31, 212, 0, 0, 0]);
    assert_eq!(set.tally.unreadable, BTreeMap::new());
}

#[test]
fn no_script_gets_into_a_text() {
    let Some(folder) = shared("fhir-malformed/files") else { return };
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let mut tally = Tally::default();
            run(Format::FhirJson, std::fs::read(&file).unwrap(), &mut tally);
            assert!(tally.texts.iter().all(|text| !text.contains("alert(")), "{}", file.display());
        }
    }
}
