//! Whole feeds and arbitrary bytes through split and normalize: every piece ends somewhere, nothing panics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Origin, normalize};
use crate::domain::{
    Delivery, Document, Feed, Format, Mapping, Outcome, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp,
};
use crate::stages::split::{Piece, split};

#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub pieces: usize,
    pub with_documents: usize,
    pub documents: BTreeMap<String, usize>,
    pub facts: usize,
    pub removed: usize,
    pub nothing: BTreeMap<String, usize>,
    pub unreadable: BTreeMap<String, usize>,
    pub findings: BTreeMap<String, usize>,
    pub texts: Vec<String>,
}

fn mapping(text: &str) -> Mapping {
    toml::from_str(text).unwrap()
}

pub(super) fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("feed"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: Some(mapping(
            r#"records = "/records"
            key = "Id"
            kind = "contact"
            resource_type = "Communication"
            title = "{Name}"
            lines = ["{Name}"]"#,
        )),
    }
}

pub(super) fn delivery(format: Format, bytes: Vec<u8>) -> Delivery {
    Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: SourceId::new("feed"),
        format,
        name: Some("file".into()),
        bytes,
        received_at: Timestamp::from_micros(0),
    }
}

/// Splits and normalizes; the spans of all that comes out are checked on the way.
pub(super) fn run(format: Format, bytes: Vec<u8>, tally: &mut Tally) {
    run_from(&source(), format, bytes, tally);
}

fn run_from(source: &SourceDescription, format: Format, bytes: Vec<u8>, tally: &mut Tally) {
    let delivery = delivery(format, bytes);
    for (position, piece) in split(&delivery, source.mapping.as_ref()).into_iter().enumerate() {
        tally.pieces += 1;
        let record = match piece {
            Piece::Record(record) => record,
            Piece::Unreadable { ordinal, unreadable, .. } => {
                assert_eq!(ordinal as usize, position);
                *tally
                    .unreadable
                    .entry(format!("{}: {}", unreadable.reason.as_str(), unreadable.detail))
                    .or_default() += 1;
                continue;
            }
        };
        assert_eq!(record.ordinal as usize, position);
        let origin = Origin { source, format, name: Some("file"), received_at: delivery.received_at };
        match normalize(&record, &origin) {
            Ok(normalized) => {
                for finding in &normalized.findings {
                    *tally.findings.entry(finding.rule.clone()).or_default() += 1;
                }
                match normalized.outcome {
                    Outcome::Documents(documents) => {
                        assert!(!documents.is_empty());
                        tally.with_documents += 1;
                        for document in documents {
                            check(&document);
                            tally.texts.push(document.text.clone());
                            *tally.documents.entry(document.resource_type).or_default() += 1;
                            tally.facts += document.facts.len();
                        }
                    }
                    Outcome::Changes(changes) if changes.documents.is_empty() => {
                        assert!(!changes.is_empty());
                        tally.removed += 1;
                    }
                    Outcome::Changes(changes) => {
                        tally.with_documents += 1;
                        for document in changes.documents {
                            check(&document);
                            tally.texts.push(document.text.clone());
                            *tally.documents.entry(document.resource_type).or_default() += 1;
                            tally.facts += document.facts.len();
                        }
                    }
                    Outcome::Removed { .. } => tally.removed += 1,
                    Outcome::CarriesNothing { name } => *tally.nothing.entry(name).or_default() += 1,
                }
            }
            Err(unreadable) => {
                *tally
                    .unreadable
                    .entry(format!("{}: {}", unreadable.reason.as_str(), unreadable.detail))
                    .or_default() += 1;
            }
        }
    }
    let nothing: usize = tally.nothing.values().sum();
    let unreadable: usize = tally.unreadable.values().sum();
    assert_eq!(tally.with_documents + tally.removed + nothing + unreadable, tally.pieces);
}

fn check(document: &Document) {
    let text = &document.text;
    assert!(!text.trim().is_empty(), "{} has no text", document.source_key);
    assert!(!document.title.is_empty() && !document.source_key.is_empty());
    assert!(text.split('\n').all(|line| line == line.trim_end()), "trailing white space");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    for fact in &document.facts {
        let line = fact.span.of(text).expect("a fact lies on char boundaries");
        assert!(!line.trim().is_empty() && !line.contains('\n'));
        assert!(!fact.display.is_empty());
    }
    let mut end = 0;
    for section in &document.sections {
        assert!(section.span.start >= end, "sections overlap");
        end = section.span.end;
        assert!(section.span.of(text).is_some_and(|part| !part.trim().is_empty()));
    }
}

pub(super) fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var("ANAMNESIS_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join(folder);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no test data at {}", folder.display());
        return None;
    }
    Some(folder)
}

pub(super) fn files(folder: &str, extension: &str) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(shared(folder)?).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    Some(files)
}

#[test]
fn whole_notes_are_read_with_their_sections() {
    let Some(files) = files("notes-ctakes-examples/curated", "txt") else { return };
    let mut with_sections = 0;
    for file in &files {
        let mut tally = Tally::default();
        let bytes = std::fs::read(file).unwrap();
        run(Format::Text, bytes.clone(), &mut tally);
        assert_eq!((tally.pieces, tally.unreadable.len()), (1, 0), "{}", file.display());
        with_sections += usize::from(!crate::stages::sections::detect(&String::from_utf8_lossy(&bytes)).is_empty());
    }
    eprintln!("{} notes, {with_sections} with sections", files.len());
    assert!(with_sections * 10 > files.len() * 9);
}

#[test]
fn crm_exports_are_read_by_their_mapping_alone() {
    let Some(cases) = shared("crm-salesforce-carehome/standard") else { return };
    let Some(appointments) = shared("scheduling-medscheduler") else { return };
    let cases_mapping = mapping(
        r#"records = "/records"
        key = "Id"
        patient = "ContactId"
        kind = "task"
        resource_type = "Task"
        title = "Case {CaseNumber}"
        lines = ["{Subject}", "{Description}"]
        status = "Status""#,
    );
    let appointments_mapping = mapping(
        r#"key = "appointment_id"
        patient = "patient_id"
        kind = "appointment"
        resource_type = "Appointment"
        title = "Appointment {appointment_date}"
        lines = ["Appointment on {appointment_date} at {start_time}: {status}"]
        effective = "appointment_date"
        status = "status""#,
    );
    let mut tally = Tally::default();
    let source = SourceDescription { mapping: Some(cases_mapping), ..source() };
    run_from(&source, Format::MappedJson, std::fs::read(cases.join("Case.json")).unwrap(), &mut tally);
    let source = SourceDescription { mapping: Some(appointments_mapping), ..source };
    run_from(&source, Format::MappedCsv, std::fs::read(appointments.join("appointments.csv")).unwrap(), &mut tally);
    eprintln!("CRM: {tally:#?}");
    let expected = BTreeMap::from([("Appointment".to_owned(), 371), ("Task".to_owned(), 3)]);
    assert_eq!((tally.documents, tally.unreadable), (expected, BTreeMap::new()));
}

const SEED: &str = r##"{"resourceType":"Bundle","type":"transaction","entry":[
    {"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","name":[{"family":"Ünal"}],"birthDate":"1970-01-01"}},
    {"resource":{"resourceType":"Observation","id":"o","status":"final","code":{"text":"Größe"},
      "subject":{"reference":"urn:uuid:p"},"valueQuantity":{"value":1.80,"unit":"m"},
      "component":[{"code":{"text":"a"},"valueString":"\u0000 b\nc"}]}},
    {"request":{"method":"DELETE","url":"Condition/9"}},{}, 5]}"##;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), format in 0_usize..6) {
        run(Format::ALL[format], bytes, &mut Tally::default());
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[-#:,;\"{}\\[\\]A-Za-zäß€\u{2028}\u{feff}\r\n 0-9]{0,300}", format in 0_usize..6) {
        run(Format::ALL[format], text.into_bytes(), &mut Tally::default());
    }

    #[test]
    fn a_damaged_bundle_never_panics(at in 0_usize..900, with in any::<u8>(), cut in 0_usize..4) {
        let mut bytes = SEED.as_bytes().to_vec();
        let at = at.min(bytes.len() - 1);
        bytes[at] = with;
        bytes.drain(at..(at + cut).min(SEED.len()));
        run(Format::FhirJson, bytes, &mut Tally::default());
    }

    #[test]
    fn a_bundle_yields_one_piece_per_entry(kinds in proptest::collection::vec(0_usize..4, 1..12)) {
        let entries = kinds.iter().map(|kind| match kind {
            0 => r#"{"resource":{"resourceType":"Patient","id":"1"}}"#,
            1 => r#"{"request":{"method":"DELETE","url":"Patient/1"}}"#,
            2 => "{}",
            _ => "null",
        });
        let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.collect::<Vec<_>>().join(" , "));
        let pieces = split(&delivery(Format::FhirJson, bundle.into_bytes()), None);
        prop_assert_eq!(pieces.len(), kinds.len());
    }
}

#[test]
fn a_damaged_entry_is_unreadable_alone() {
    let mut bytes = SEED.as_bytes().to_vec();
    let at = SEED.find("family").unwrap();
    bytes[at] = 0xff;
    let mut tally = Tally::default();
    run(Format::FhirJson, bytes, &mut tally);
    assert_eq!(tally.pieces, 5);
    assert_eq!(tally.documents, BTreeMap::from([("Observation".to_owned(), 1)]));
    assert_eq!((tally.removed, tally.nothing["empty Bundle entry"]), (1, 1));
    assert_eq!(tally.unreadable.len(), 2);
}
