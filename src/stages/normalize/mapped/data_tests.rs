//! Real exports through the shipped mappings: every row ends somewhere, and where is counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::{
    Delivery, Document, Feed, Format, Mapping, Outcome, QuarantineReason, ReceiptId, SourceDescription, SourceId,
    TenantId, Timestamp, mapping,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

/// What became of the records of some files.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub files: usize,
    pub records: usize,
    pub documents: BTreeMap<String, usize>,
    pub facts: usize,
    pub removed: usize,
    pub merges: usize,
    pub nothing: BTreeMap<String, usize>,
    pub unreadable: BTreeMap<String, usize>,
    pub findings: BTreeMap<String, usize>,
    pub without_patient: usize,
}

impl Tally {
    fn documents(&self) -> usize {
        self.documents.values().sum()
    }

    fn ended(&self) -> usize {
        self.documents() + self.removed + self.nothing.values().sum::<usize>() + self.unreadable.values().sum::<usize>()
    }
}

pub(super) fn source(mapping: Mapping) -> SourceDescription {
    SourceDescription {
        name: SourceId::new("feed"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: Some(mapping),
    }
}

pub(super) fn shipped(name: &str) -> Mapping {
    toml::from_str(mapping::shipped(name).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn data(set: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ANAMNESIS_TEST_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join(set);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} isn't there", folder.display());
    None
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

/// Splits and normalizes a delivery; checks what every document must be.
pub(super) fn take(
    source: &SourceDescription,
    format: Format,
    name: &str,
    bytes: Vec<u8>,
    tally: &mut Tally,
) -> Vec<Document> {
    let delivery = Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: source.name.clone(),
        format,
        name: Some(name.into()),
        bytes,
        received_at: Timestamp::from_micros(0),
    };
    let origin = Origin { source, format, name: Some(name), received_at: delivery.received_at };
    let mut documents = Vec::new();
    tally.files += 1;
    for piece in split(&delivery, source.mapping.as_ref()) {
        tally.records += 1;
        let read = match piece {
            Piece::Record(record) => normalize(&record, &origin),
            Piece::Unreadable { unreadable, .. } => Err(unreadable),
        };
        match read {
            Ok(normalized) => {
                for finding in normalized.findings {
                    *tally.findings.entry(format!("{} {}", finding.rule, finding.path)).or_default() += 1;
                }
                match normalized.outcome {
                    Outcome::Documents(found) => documents.extend(found),
                    Outcome::Changes(changes) => {
                        tally.merges += changes.merges.len();
                        tally.removed += changes.removals.len();
                        documents.extend(changes.documents);
                    }
                    Outcome::Removed { .. } => tally.removed += 1,
                    Outcome::CarriesNothing { name } => *tally.nothing.entry(name).or_default() += 1,
                }
            }
            Err(unreadable) => {
                assert_ne!(unreadable.reason, QuarantineReason::ReaderFailed);
                *tally.unreadable.entry(unreadable.reason.as_str().to_owned()).or_default() += 1;
            }
        }
    }
    for document in &documents {
        check(document);
        tally.facts += document.facts.len();
        tally.without_patient += usize::from(document.patient.is_none());
        *tally.documents.entry(document.resource_type.clone()).or_default() += 1;
    }
    documents
}

fn check(document: &Document) {
    assert!(!document.text.is_empty() && !document.title.is_empty() && !document.source_key.is_empty());
    assert_eq!(document.text, crate::stages::normalize::tidy::text(&document.text), "{}", document.source_key);
    for fact in &document.facts {
        let line = fact.span.of(&document.text).unwrap();
        assert!(document.text.lines().any(|of_text| of_text == line), "{line}");
        assert!(!fact.display.is_empty(), "{line}");
    }
}

fn take_files(source: &SourceDescription, format: Format, files: &[PathBuf]) -> (Tally, Vec<Document>) {
    let (mut tally, mut documents) = (Tally::default(), Vec::new());
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        documents.extend(take(source, format, &name, std::fs::read(file).unwrap(), &mut tally));
    }
    (tally, documents)
}

/// Prints the table, and the texts where `ANAMNESIS_DUMP` names a folder.
fn report(set: &str, tally: &Tally, documents: &[Document]) {
    eprintln!("{set}: {tally:#?}");
    if let Some(folder) = std::env::var_os("ANAMNESIS_DUMP") {
        let shown = documents.iter().map(|document| {
            format!(
                "=== {} | {:?} {} | patient {:?} | {:?} | {} | {:?}\n{}\n--- facts: {}\n\n",
                document.source_key,
                document.kind,
                document.title,
                document.patient,
                document.times,
                document.status.as_str(),
                document.labels,
                document.text,
                document.facts.iter().map(|fact| format!("{fact:?}")).collect::<Vec<_>>().join("\n           "),
            )
        });
        std::fs::write(Path::new(&folder).join(format!("{set}.txt")), shown.collect::<String>()).unwrap();
    }
    assert_eq!(tally.ended(), tally.records, "{set}");
}

fn distinct(documents: &[Document]) -> usize {
    documents.iter().map(|document| &document.source_key).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_salesforce_organisation_is_read_whole() {
    let Some(folder) = data("crm-salesforce-carehome") else { return };
    let files = [files(&folder.join("standard"), ".json"), files(&folder.join("custom"), ".json")].concat();
    for name in ["carehome", "salesforce"] {
        let (tally, documents) = take_files(&source(shipped(name)), Format::MappedJson, &files);
        report(name, &tally, &documents);
        assert_eq!(distinct(&documents), documents.len());
    }
}

#[test]
fn a_scheduling_system_is_read_whole() {
    let Some(folder) = data("scheduling-medscheduler") else { return };
    let (tally, documents) = take_files(&source(shipped("medscheduler")), Format::MappedCsv, &files(&folder, ".csv"));
    report("medscheduler", &tally, &documents);
    assert_eq!(distinct(&documents), documents.len());
}

#[test]
fn medicare_claim_files_are_read_whole() {
    let Some(folder) = data("claims-cms-bfd") else { return };
    for (set, ending) in [("rif-synthea", ".csv"), ("rif-static", ".txt")] {
        let (tally, documents) =
            take_files(&source(shipped("bfd-rif")), Format::MappedCsv, &files(&folder.join(set), ending));
        report(set, &tally, &documents);
    }
}

#[test]
fn medicare_warehouse_tables_are_read_whole() {
    let Some(folder) = data("claims-cms-bfd") else { return };
    let (tally, documents) =
        take_files(&source(shipped("bfd-idr")), Format::MappedCsv, &files(&folder.join("idr-csv"), ".csv"));
    report("idr", &tally, &documents);
    assert_eq!(distinct(&documents), documents.len());
}

const DIALOGUES: &str = r#"
    [[object]]
    name = "dialogue"
    key = "{ID}"
    kind = "note"
    resource_type = "DocumentReference"
    title = "{section_header}"
    lines = ["{section_header}:", "{section_text}", "Conversation:", "{dialogue}"]
"#;

#[test]
fn conversations_with_line_ends_in_their_cells_are_read_whole() {
    let Some(folder) = data("notes-mts-dialog") else { return };
    let source = source(toml::from_str(DIALOGUES).unwrap());
    let (tally, documents) = take_files(&source, Format::MappedCsv, &files(&folder, ".csv"));
    report("dialogues", &tally, &documents);
}
