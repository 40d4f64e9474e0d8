//! The PDFs that the development data sets carry inside other records: read, then damaged and read again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::read;

/// Where each stands, its pages, and words from its first and last page.
const FILES: [(&str, usize, &str, &str); 4] = [
    (
        "fhir-r4-examples/binary-example.json",
        1,
        "FHIR is suitable for use in a wide variety",
        "many examples available",
    ),
    (
        "fhir-r4-examples/diagnosticreport-example.json",
        1,
        "Haemoglobin g/L 176 135 - 180",
        "Acme Laboratory, Inc signed: Dr Pete Pathologist",
    ),
    ("ccda-ms-converter/Unstructured_Document_embed.ccda", 3, "Date of Discharge: 03/26/2009", "FOLLOW UP"),
    (
        "ccda-ms-converter/CDA_with_Embedded_PDF.ccda",
        7,
        "I am appointing the person or persons below as my healthcare agent",
        "Witness Number 2",
    ),
];

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ANAMNESIS_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: the development data sets are not here");
    }
    folder.is_dir().then_some(folder)
}

/// The first thing in a record that is a PDF in base64.
fn embedded(record: &Path) -> Vec<u8> {
    let record = std::fs::read_to_string(record).unwrap();
    let start = record.find("JVBERi0").unwrap();
    let digits = record[start..].chars().filter(|c| !c.is_whitespace());
    let digits: String = digits.take_while(|c| c.is_ascii_alphanumeric() || "+/".contains(*c)).collect();
    STANDARD_NO_PAD.decode(digits).unwrap()
}

#[test]
fn real_files_are_read_page_by_page() {
    let Some(folder) = data() else { return };
    for (record, pages, first, last) in FILES {
        let reading = read(&embedded(&folder.join(record))).unwrap();
        let title = reading.about.title.as_deref().unwrap_or("-").len();
        println!("{record}: {} pages, {} characters, title of {title}", reading.pages.len(), reading.text.len());
        assert_eq!(reading.pages.len(), pages, "{record}");
        assert!(reading.text.contains(first) && reading.text.contains(last), "{record}");
        assert!(reading.pages.is_sorted() && reading.pages.iter().all(|page| reading.text.is_char_boundary(*page)));
        assert!(reading.findings.is_empty(), "{record}: {:?}", reading.findings);
    }
}

/// Runs for `ANAMNESIS_FUZZ_SECONDS`, or a few hundred cases.
#[test]
fn damaged_real_files_are_read_or_refused() {
    let Some(folder) = data() else { return };
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let (begun, most) = (Instant::now(), seconds.map_or(60, |_| usize::MAX));
    let files: Vec<Vec<u8>> = FILES.iter().map(|(record, ..)| embedded(&folder.join(record))).collect();
    let mut runner = TestRunner::deterministic();
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40);
    let (mut cases, mut readable, mut longest) = (0usize, 0usize, Duration::ZERO);
    while cases < most && seconds.is_none_or(|seconds| begun.elapsed() < Duration::from_secs(seconds)) {
        let mut file = files[cases % files.len()].clone();
        for (position, byte) in edits.new_tree(&mut runner).unwrap().current() {
            let position = position.index(file.len());
            file[position] = byte;
        }
        let started = Instant::now();
        readable += usize::from(read(&file).is_ok());
        longest = longest.max(started.elapsed());
        cases += 1;
    }
    println!("{cases} damaged files: {readable} read, {} refused, {longest:?} at most", cases - readable);
    assert!(longest < Duration::from_secs(30));
}
