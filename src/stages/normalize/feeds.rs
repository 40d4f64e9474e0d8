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

/// A real resource with some of its values replaced by others, so that it still is JSON.
fn twisted(value: &mut serde_json::Value, random: &mut Random) {
    const OTHERS: [&str; 9] =
        ["null", "[]", "{}", "5", "true", "\"#x\"", "[[1]]", "[{\"reference\":\"#\"}]", "\"\\u0000é\""];
    if random.below(12) == 0 {
        let other = OTHERS.get(random.below(OTHERS.len())).unwrap_or(&"null");
        *value = serde_json::from_str(other).unwrap();
        return;
    }
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| twisted(item, random)),
        serde_json::Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| *name != "resourceType").for_each(|(_, item)| twisted(item, random));
        }
        _ => {}
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

#[test]
fn twisted_real_resources_end_somewhere() {
    let folders = ["fhir-r4-examples", "claims-cms-bfd/fhir", "fhir-ndjson-cumulus/phi-in", "fhir-malformed/files"];
    let mut seeds = Vec::new();
    for folder in folders {
        let Some(files) = files(folder, "json") else { return };
        seeds.extend(files.into_iter().map(|file| std::fs::read(file).unwrap()).filter(|bytes| bytes.len() < 60_000));
    }
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let start = std::time::Instant::now();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut rounds = 0;
    while seconds.map_or(rounds < 400, |seconds| start.elapsed().as_secs() < seconds) {
        rounds += 1;
        let mut bytes = seeds[random.below(seeds.len())].clone();
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(mut value) if random.below(4) > 0 => {
                twisted(&mut value, &mut random);
                bytes = serde_json::to_vec(&value).unwrap();
            }
            _ => {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256)).unwrap();
            }
        }
        run(Format::FhirJson, bytes, &mut Tally::default());
    }
}
