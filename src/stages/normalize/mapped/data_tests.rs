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

    /// The table in one line each, to be compared with what was checked by hand.
    fn summary(&self) -> String {
        let counted = |counts: &BTreeMap<String, usize>| {
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
        };
        format!(
            "{} files, {} records: {}; {} facts, {} merges, {} removed, {} without a patient; nothing: {}; \
             quarantined: {}; findings: {}",
            self.files,
            self.records,
            counted(&self.documents),
            self.facts,
            self.merges,
            self.removed,
            self.without_patient,
            counted(&self.nothing),
            counted(&self.unreadable),
            counted(&self.findings),
        )
    }

    pub fn ended(&self) -> usize {
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
    eprintln!("{set}: {}", tally.summary());
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
    let expected = [
        (
            "carehome",
            "12 files, 309 records: 72 Basic, 1 CarePlan, 4 Communication, 6 DiagnosticReport, 188 Patient, \
             3 QuestionnaireResponse, 3 Task; 445 facts, 0 merges, 0 removed, 0 without a patient; nothing: \
             5 Assessment form, 12 Preference list, 15 Survey form; quarantined: ; findings: ",
        ),
        (
            "salesforce",
            "12 files, 309 records: 114 Basic, 4 Communication, 96 Organization, 92 Patient, 3 Task; 322 facts, \
             0 merges, 0 removed, 209 without a patient; nothing: ; quarantined: ; findings: ",
        ),
    ];
    for (name, totals) in expected {
        let (tally, documents) = take_files(&source(shipped(name)), Format::MappedJson, &files);
        report(name, &tally, &documents);
        assert_eq!(tally.summary(), totals);
        assert_eq!(distinct(&documents), documents.len());
    }
}

#[test]
fn a_scheduling_system_is_read_whole() {
    let Some(folder) = data("scheduling-medscheduler") else { return };
    let (tally, documents) = take_files(&source(shipped("medscheduler")), Format::MappedCsv, &files(&folder, ".csv"));
    report("medscheduler", &tally, &documents);
    let totals = "3 files, 1401 records: 371 Appointment, 330 Patient; 1361 facts, 0 merges, 0 removed, \
        0 without a patient; nothing: 700 slot; quarantined: ; findings: ";
    assert_eq!(tally.summary(), totals);
    let with_status = |wanted: &str| {
        documents
            .iter()
            .flat_map(|document| &document.facts)
            .filter(|fact| fact.status.as_deref() == Some(wanted))
            .count()
    };
    let statuses = ["fulfilled", "cancelled", "booked", "no-show"].map(with_status);
    assert_eq!(statuses, [227, 67, 63, 14]);
    assert_eq!(distinct(&documents), documents.len());
}

#[test]
fn medicare_claim_files_are_read_whole() {
    let Some(folder) = data("claims-cms-bfd") else { return };
    let sets = [
        (
            "rif-synthea",
            ".csv",
            "21 files, 404 records: 365 ExplanationOfBenefit, 36 Patient; 3963 facts, 0 merges, 0 removed, \
             0 without a patient; nothing: 3 export summary; quarantined: ; findings: ",
        ),
        // One row has a value beyond its header; two name a year that is none.
        (
            "rif-static",
            ".txt",
            "23 files, 52 records: 17 ExplanationOfBenefit, 34 Patient; 271 facts, 0 merges, 0 removed, \
             0 without a patient; nothing: ; quarantined: 1 malformed_csv; findings: 2 invalid_date mapping.source_time",
        ),
    ];
    for (set, ending, totals) in sets {
        let (tally, documents) =
            take_files(&source(shipped("bfd-rif")), Format::MappedCsv, &files(&folder.join(set), ending));
        report(set, &tally, &documents);
        assert_eq!(tally.summary(), totals);
        assert!(documents.iter().all(|document| !document.text.contains("543217066")), "an identity number in a text");
    }
}

#[test]
fn medicare_warehouse_tables_are_read_whole() {
    let Some(folder) = data("claims-cms-bfd") else { return };
    let (tally, documents) =
        take_files(&source(shipped("bfd-idr")), Format::MappedCsv, &files(&folder.join("idr-csv"), ".csv"));
    report("idr", &tally, &documents);
    let totals = "31 files, 16548 records: 80 Coverage, 248 CoverageEligibilityResponse, 3675 ExplanationOfBenefit, \
        29 Patient; 5088 facts, 150 merges, 0 removed, 0 without a patient; nothing: 12072 adjustment code table, \
        144 claim date signature, 105 claim document control, 5 identity cross-reference, 24 identity number, 10 plan, \
        11 plan contact, 3 plan segment, 14 provider, 128 related condition signature; quarantined: ; findings: ";
    assert_eq!(tally.summary(), totals);
    // Three beneficiaries have two entries each, of which the later one counts.
    assert_eq!(distinct(&documents), documents.len() - 3);
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
    let totals = "4 files, 1701 records: 1701 DocumentReference; 0 facts, 0 merges, 0 removed, 1701 without a patient; \
        nothing: ; quarantined: ; findings: ";
    assert_eq!(tally.summary(), totals);
    assert!(documents.iter().all(|document| document.text.contains("\nConversation:\n")));
}
