//! Real documents and damaged ones: every record ends somewhere, no word of a narrative is lost.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::{Delivery, Feed, Format, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp};
use crate::stages::normalize::xml::{self, Node, Tree};
use crate::stages::normalize::{Origin, normalize as normalize_any};
use crate::stages::split::{Piece, split};

fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ANAMNESIS_TEST_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no test data at {}", folder.display());
    None
}

/// Files below a folder with one of these endings, whatever their letter case.
fn files(folder: &str, endings: &[&str]) -> Option<Vec<PathBuf>> {
    let mut open = vec![shared(folder)?];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
            if path.is_dir() {
                open.push(path);
            } else if endings.contains(&ending.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Some(found)
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    files: usize,
    records: usize,
    documents: usize,
    facts: BTreeMap<String, usize>,
    removals: usize,
    nothing: usize,
    quarantined: BTreeMap<String, usize>,
    findings: BTreeMap<String, usize>,
}

fn read_all(format: Format, bytes: Vec<u8>, tally: &mut Tally) -> Vec<Document> {
    let source = SourceDescription {
        name: SourceId::new("feed"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: None,
    };
    let delivery = Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: source.name.clone(),
        format,
        name: None,
        bytes,
        received_at: Timestamp::from_micros(0),
    };
    let origin = Origin { source: &source, format, name: None, received_at: delivery.received_at };
    let mut all = Vec::new();
    tally.files += 1;
    for piece in split(&delivery, None) {
        tally.records += 1;
        let outcome = match piece {
            Piece::Record(record) => normalize_any(&record, &origin),
            Piece::Unreadable { unreadable, .. } => Err(unreadable),
        };
        match outcome {
            Err(unreadable) => {
                assert_ne!(unreadable.reason, QuarantineReason::ReaderFailed);
                *tally.quarantined.entry(unreadable.reason.as_str().to_owned()).or_default() += 1;
            }
            Ok(normalized) => {
                for finding in normalized.findings {
                    *tally.findings.entry(finding.rule).or_default() += 1;
                }
                let documents = match normalized.outcome {
                    Outcome::Documents(documents) => documents,
                    Outcome::Changes(changes) => {
                        tally.removals += changes.removals.len();
                        changes.documents
                    }
                    Outcome::Removed { .. } | Outcome::CarriesNothing { .. } => {
                        tally.nothing += 1;
                        Vec::new()
                    }
                };
                for document in documents {
                    check(&document);
                    tally.documents += 1;
                    for fact in &document.facts {
                        *tally.facts.entry(fact.kind.as_str().to_owned()).or_default() += 1;
                    }
                    all.push(document);
                }
            }
        }
    }
    all
}

fn check(document: &Document) {
    let text = &document.text;
    assert!(!text.trim().is_empty() && !document.title.is_empty() && !document.source_key.is_empty());
    assert!(text.split('\n').all(|line| line == line.trim_end()), "trailing white space");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!text.contains("\n\n\n"));
    for fact in &document.facts {
        let line = fact.span.of(text).expect("a fact lies on char boundaries");
        assert!(!line.trim().is_empty() && !line.contains('\n') && !fact.display.is_empty());
        let starts = fact.span.start == 0 || text.as_bytes()[fact.span.start - 1] == b'\n';
        let ends = fact.span.end == text.len() || text.as_bytes()[fact.span.end] == b'\n';
        assert!(starts && ends, "a fact is exactly one line");
    }
    let mut end = 0;
    for section in &document.sections {
        assert!(section.span.start >= end && section.span.of(text).is_some());
        end = section.span.end;
    }
}

fn words(text: &str, count: &mut HashMap<String, i64>, by: i64) {
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *count.entry(word.to_lowercase()).or_default() += by;
    }
}

/// Words of a narrative, text by text, without what its author struck out.
fn narrative_words(element: Element<'_>, count: &mut HashMap<String, i64>) {
    for node in element.children() {
        match node {
            Node::Text(text) => words(text, count, 1),
            Node::Element(inner) if inner.attribute("revised") == Some("delete") => {}
            Node::Element(inner) => narrative_words(inner, count),
        }
    }
}

/// What is in the narratives of a document and not in its text, as often as it should be.
fn lost_words(bytes: &[u8], document: &Document) -> Vec<String> {
    let decoded = xml::decode(bytes).unwrap();
    let tree = Tree::parse(&decoded.text).unwrap();
    let mut count = HashMap::new();
    for section in tree.root().descendants().filter(|element| element.name() == "section") {
        if let Some(text) = section.child("text") {
            narrative_words(text, &mut count);
        }
    }
    words(&document.text, &mut count, -1);
    for text in tree.root().descendants().filter(|element| element.name() == "section").filter_map(|s| s.child("text"))
    {
        let mut own = HashMap::new();
        narrative_words(text, &mut own);
        let repeats = Cell::new(100_000);
        words(&narrative::Narrative::read(text, &repeats).lines.join("\n"), &mut own, -1);
        count.extend(own.into_iter().filter(|(_, missing)| *missing > 0));
    }
    let mut lost: Vec<String> = count.into_iter().filter(|(_, missing)| *missing > 0).map(|(word, _)| word).collect();
    lost.sort();
    lost
}

fn whole_documents(folder: &str, endings: &[&str]) -> Option<(Tally, Vec<String>)> {
    let mut tally = Tally::default();
    let mut losses = Vec::new();
    for file in files(folder, endings)? {
        let bytes = std::fs::read(&file).unwrap();
        for document in read_all(Format::Cda, bytes.clone(), &mut tally) {
            let lost = lost_words(&bytes, &document);
            if !lost.is_empty() {
                losses.push(format!("{}: {lost:?}", file.display()));
            }
        }
    }
    eprintln!("{folder}: {tally:#?}");
    Some((tally, losses))
}

/// Facts by kind; a file that only names its patient adds nothing to them.
fn facts_of(tally: &Tally) -> Vec<(&str, usize)> {
    tally.facts.iter().map(|(kind, count)| (kind.as_str(), *count)).filter(|(kind, _)| *kind != "demographic").collect()
}

#[test]
fn every_example_ends_somewhere_and_no_word_of_a_narrative_is_lost() {
    let Some((tally, losses)) = whole_documents("ccda-hl7-examples", &["xml"]) else { return };
    assert_eq!(losses, Vec::<String>::new());
    // One says that it takes the place of a document of another type.
    assert_eq!((tally.files, tally.records, tally.nothing, tally.removals), (447, 447, 0, 1));
    let attached = tally.quarantined.get("unreadable_attachment").copied().unwrap_or_default();
    assert_eq!(tally.documents + attached, 30, "a file within a document is read or says why not");
    assert_eq!((tally.quarantined["not_cda"], tally.quarantined["malformed_xml"]), (416, 1));
    let expected = [
        ("allergy", 19),
        ("appointment", 6),
        ("care_plan", 32),
        ("condition", 51),
        ("coverage", 7),
        ("encounter", 2),
        ("immunization", 18),
        ("medication", 18),
        ("observation", 175),
        ("procedure", 25),
    ];
    assert_eq!(facts_of(&tally), expected);
}

#[test]
fn documents_of_other_makers_lose_no_word_either() {
    let Some((tally, losses)) = whole_documents("ccda-ms-converter", &["ccda"]) else { return };
    assert_eq!(losses, Vec::<String>::new());
    let attached = tally.quarantined.get("unreadable_attachment").copied().unwrap_or_default();
    assert_eq!((tally.files, tally.records, tally.documents + attached), (22, 22, 22));
    let expected = [
        ("allergy", 24),
        ("appointment", 5),
        ("care_plan", 32),
        ("condition", 53),
        ("coverage", 7),
        ("encounter", 9),
        ("immunization", 21),
        ("medication", 27),
        ("observation", 214),
        ("procedure", 34),
    ];
    assert_eq!(facts_of(&tally), expected);
}

/// A fragment within the smallest document there is, as far as it can stand in a body.
fn wrapped(fragment: &str) -> String {
    let tree = Tree::parse(fragment);
    let name = tree.as_ref().map(|tree| tree.root().name()).unwrap_or("section");
    let fragment = tree.as_ref().map_or(fragment, |tree| tree.root().slice());
    let section = |inner: &str| format!("<component><section><title>Part</title>{inner}</section></component>");
    let inner = match name {
        "section" => format!("<component>{fragment}</component>"),
        "entry" => section(fragment),
        "component" if fragment.contains("<section") => fragment.to_owned(),
        _ => section(&format!("<entry>{fragment}</entry>")),
    };
    format!(
        "<ClinicalDocument><id root='1.2.3'/><recordTarget><patientRole><id extension='7'/></patientRole></recordTarget>\
         <component><structuredBody>{inner}</structuredBody></component></ClinicalDocument>"
    )
}

#[test]
fn parts_of_the_examples_lose_no_word_within_a_document() {
    let Some(files) = files("ccda-hl7-examples", &["xml"]) else { return };
    let (mut tally, mut losses) = (Tally::default(), Vec::new());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let fragment = xml::decode(&bytes).unwrap().text.into_owned();
        if fragment.contains("<ClinicalDocument") {
            continue;
        }
        let document = wrapped(&fragment);
        for read in read_all(Format::Cda, document.clone().into_bytes(), &mut tally) {
            let lost = lost_words(document.as_bytes(), &read);
            if !lost.is_empty() {
                losses.push(format!("{}: {lost:?}", file.display()));
            }
        }
    }
    eprintln!("wrapped fragments: {tally:#?}");
    assert_eq!(losses, Vec::<String>::new());
    assert_eq!(tally.documents + 1, tally.records);
}

fn damaged(mut bytes: Vec<u8>, damages: &[(usize, u8, usize)]) -> Vec<u8> {
    for (at, with, cut) in damages {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match cut % 4 {
            0 => bytes[at] = *with,
            1 => bytes.insert(at, *with),
            2 => drop(bytes.drain(at..(at + cut).min(bytes.len()))),
            _ => {
                let part: Vec<u8> = bytes[at..(at + cut).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Documents small enough to be damaged by the hundred.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![include_bytes!("../../../../tests/golden/normalize/cda_continuity.cda.xml").to_vec()];
    for (folder, ending) in [("ccda-hl7-examples", "xml"), ("ccda-ms-converter", "ccda")] {
        for file in files(folder, &[ending]).unwrap_or_default() {
            let bytes = std::fs::read(file).unwrap();
            if bytes.len() < 60_000 {
                seeds.push(bytes);
            }
        }
    }
    seeds
}

#[test]
fn damaged_documents_never_panic() {
    let seeds = seeds();
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let strategy = (0..seeds.len(), proptest::collection::vec((any::<usize>(), any::<u8>(), 0_usize..400), 0..6));
    loop {
        proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300))
            .run(&strategy, |(seed, damages)| {
                read_all(Format::Cda, damaged(seeds[seed].clone(), &damages), &mut Tally::default());
                Ok(())
            })
            .unwrap();
        if Instant::now() >= until {
            break;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_markup_never_panics(markup in "(<[a-z:]{1,6}( [a-z]{1,3}='[a-z#&;]{0,4}')?/?>|</[a-z]{1,3}>|<tr>|</tr>|<td rowspan='3'>|</td>|[a-z &;#]{0,6}){0,40}") {
        let document = wrapped(&format!("<section><text>{markup}</text></section>"));
        read_all(Format::Cda, document.into_bytes(), &mut Tally::default());
        read_all(Format::Cda, markup.into_bytes(), &mut Tally::default());
    }
}

fn outcome(xml: &str) -> Result<Vec<Document>, Unreadable> {
    let record = RawRecord { bytes: xml.as_bytes().to_vec(), ..RawRecord::default() };
    super::super::xml_document::normalize(&record, Format::Cda, "main").map(|normalized| match normalized.outcome {
        Outcome::Documents(documents) => documents,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_fragment_or_another_dialect_is_refused_by_name_alone() {
    for (xml, detail) in [
        ("<section><title>x</title></section>", "fragment: section"),
        ("<recordTarget/>", "fragment: recordTarget"),
        ("<secret-name/>", "not a CDA document"),
    ] {
        let refused = outcome(xml).unwrap_err();
        assert_eq!((refused.reason, refused.detail.as_str()), (QuarantineReason::NotCda, detail), "{xml}");
    }
    assert_eq!(
        outcome("<ClinicalDocument><id></ClinicalDocument>").unwrap_err().reason,
        QuarantineReason::MalformedXml
    );
}

#[test]
fn entities_are_neither_expanded_nor_fetched() {
    let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'><!ENTITY x SYSTEM 'file:///etc/passwd'>]>";
    let document = wrapped("<section><text>one &b; &x; two</text></section>");
    let read = outcome(&format!("{bomb}{document}")).unwrap().remove(0);
    assert!(read.text.contains("one &b; &x; two"), "{}", read.text);
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = format!("<ClinicalDocument>{}", "<component>".repeat(100_000));
    assert_eq!(outcome(&deep).unwrap_err().reason, QuarantineReason::TooLarge);
}

#[test]
fn a_large_document_is_read_in_linear_time() {
    let row = |number: usize| format!("<tr ID='r{number}'><td>Sodium</td><td>{number}</td><td>mmol/L</td></tr>");
    let entry = |number: usize| {
        format!(
            "<entry><observation><code code='2951-2' codeSystem='2.16.840.1.113883.6.1' displayName='Sodium'/>\
             <text><reference value='#r{number}'/></text><value value='{number}' unit='mmol/L'/></observation></entry>"
        )
    };
    let section = |count: usize| {
        let rows: String = (0..count).map(row).collect();
        let entries: String = (0..count).map(entry).collect();
        let head = "<thead><tr><th>Test</th><th>Value</th><th>Unit</th></tr></thead>";
        wrapped(&format!(
            "<section><title>Results</title><text><table>{head}<tbody>{rows}</tbody></table></text>{entries}</section>"
        ))
    };
    let timed = |count: usize| {
        let document = section(count);
        let start = Instant::now();
        assert_eq!(outcome(&document).unwrap()[0].facts.len(), count);
        start.elapsed()
    };
    let (small, large) = (timed(1_000), timed(10_000));
    assert!(large < small * 40 + Duration::from_millis(200), "{small:?} for 1000 rows, {large:?} for 10000");
}

/// What both forms of one resource say; how they spell their narrative is their own.
fn said(format: Format, file: &Path) -> Vec<(String, String, Vec<crate::domain::Fact>, Option<String>)> {
    let documents = read_all(format, std::fs::read(file).unwrap(), &mut Tally::default());
    let parts = |document: Document| {
        (document.source_key, document.text, document.facts, document.patient.map(|patient| patient.to_string()))
    };
    documents.into_iter().map(parts).collect()
}

#[test]
fn a_resource_says_the_same_in_xml_and_in_json() {
    let Some(folder) = shared("fhir-r4-examples") else { return };
    for name in ["observation-example", "condition-example", "patient-example", "organization-1"] {
        let xml = said(Format::FhirXml, &folder.join(name).with_extension("xml"));
        assert_eq!(xml, said(Format::FhirJson, &folder.join(name).with_extension("json")), "{name}");
        assert_eq!(xml, said(Format::Cda, &folder.join(name).with_extension("xml")), "{name}");
    }
}

#[test]
fn examples_and_malformed_files_in_xml_end_somewhere() {
    for (folder, records, documents, nothing) in
        [("fhir-r4-examples", 10, 8, 2), ("fhir-malformed/files", 191, 114, 73)]
    {
        let Some(files) = files(folder, &["xml"]) else { return };
        let mut tally = Tally::default();
        for file in files {
            read_all(Format::FhirXml, std::fs::read(&file).unwrap(), &mut tally);
        }
        eprintln!("{folder}: {tally:#?}");
        assert_eq!((tally.records, tally.documents, tally.nothing), (records, documents, nothing), "{folder}");
    }
}

#[test]
fn damaged_resources_in_xml_never_panic() {
    let seed = include_bytes!("../../../../tests/golden/normalize/fhir_xml_bundle.fhir.xml").to_vec();
    let strategy = proptest::collection::vec((any::<usize>(), any::<u8>(), 0_usize..200), 0..6);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let read = |damages: Vec<(usize, u8, usize)>| {
        read_all(Format::FhirXml, damaged(seed.clone(), &damages), &mut Tally::default());
        Ok(())
    };
    runner.run(&strategy, read).unwrap();
}
