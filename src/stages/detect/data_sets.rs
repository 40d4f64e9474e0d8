//! Every file of the development data sets is detected as what it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Detected, HEAD_BYTES, detect};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ANAMNESIS_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn label(detected: Detected) -> String {
    match detected {
        Detected::Known(format) => format.as_str().to_owned(),
        Detected::NeedsMapping(format) => format!("needs mapping: {}", format.as_str()),
        Detected::Compressed(compression) => format!("compressed: {compression:?}").to_lowercase(),
        Detected::Unknown(unknown) => format!("unknown: {}", unknown.as_str()),
    }
}

fn count(folder: &Path, counts: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count(&path, counts);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let head = bytes.get(..HEAD_BYTES).unwrap_or(&bytes);
        let name = path.to_string_lossy().replace('\\', "/");
        *counts.entry(label(detect(Some(&name), head))).or_default() += 1;
    }
}

#[test]
fn every_file_of_the_data_sets_is_what_its_set_says() {
    let Some(folder) = data() else {
        eprintln!("SKIPPED: the development data sets are not here");
        return;
    };
    let mut sets: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.retain(|path| path.is_dir());
    sets.sort();
    let mut found = BTreeMap::new();
    for set in &sets {
        let mut counts = BTreeMap::new();
        count(set, &mut counts);
        let name = set.file_name().unwrap().to_string_lossy().into_owned();
        println!("{name:28} {counts:?}");
        found.insert(name, counts);
    }
    for (set, expected) in EXPECTED {
        let expected: BTreeMap<String, usize> =
            expected.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect();
        assert_eq!(found.get(*set), Some(&expected), "{set}");
    }
}

type Counts = &'static [(&'static str, usize)];

const EXPECTED: &[(&str, Counts)] = &[
    ("ccda-hl7-examples", &[("cda", 447), ("unknown: other_text", 1)]),
    ("ccda-ms-converter", &[("cda", 22), ("unknown: other_text", 1)]),
    ("claims-cms-bfd", &[("fhir_json", 19), ("needs mapping: mapped_csv", 75), ("unknown: other_text", 1)]),
    ("crm-salesforce-carehome", &[("needs mapping: mapped_json", 12), ("unknown: other_text", 1)]),
    (
        "fhir-malformed",
        &[
            ("cda", 4),
            ("fhir_json", 345),
            ("fhir_ndjson", 1),
            ("fhir_xml", 107),
            ("needs mapping: mapped_json", 2),
            ("text", 1),
        ],
    ),
    (
        "fhir-ndjson-cumulus",
        &[("fhir_json", 56), ("fhir_ndjson", 21), ("unknown: other_json_lines", 1), ("unknown: other_text", 1)],
    ),
    ("fhir-r4-examples", &[("fhir_json", 72), ("fhir_xml", 10), ("text", 1)]),
    ("fhir-synthea-r4", &[("fhir_json", 8), ("unknown: other_text", 1)]),
    ("hl7v2-lfh-converter", &[("hl7v2", 4), ("unknown: other_text", 1)]),
    ("hl7v2-ms-converter", &[("hl7v2", 139), ("unknown: other_text", 1)]),
    ("ir-scifact", &[("markdown", 1), ("needs mapping: mapped_csv", 2), ("unknown: other_json_lines", 3)]),
    ("notes-ctakes-examples", &[("text", 2383), ("unknown: other_text", 1)]),
    ("notes-mts-dialog", &[("needs mapping: mapped_csv", 4), ("text", 1)]),
    ("phi-presidio-synth", &[("needs mapping: mapped_json", 1), ("unknown: other_text", 1)]),
    (
        "qa-pubmedqa",
        &[
            ("fhir_json", 1),
            ("needs mapping: mapped_csv", 1),
            ("needs mapping: mapped_json", 1),
            ("unknown: other_json_lines", 2),
            ("unknown: other_text", 1),
        ],
    ),
    ("scheduling-medscheduler", &[("needs mapping: mapped_csv", 3), ("unknown: other_text", 1)]),
    ("term-abbreviations", &[("needs mapping: mapped_csv", 15), ("unknown: other_text", 1)]),
    ("term-icd10cm", &[("compressed: gzip", 1), ("text", 1)]),
    ("term-section-headers", &[("needs mapping: mapped_json", 2), ("unknown: other_text", 1)]),
    ("term-ucum", &[("markdown", 1), ("unknown: other_xml", 1)]),
    ("x12-imsweb", &[("unknown: other_text", 1), ("x12", 31)]),
];
