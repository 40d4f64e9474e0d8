//! Golden tests: a delivery in, its normalized records out, reviewed as a diff.
//!
//! `tests/golden/normalize/<case>.<form>` is the input, `<case>.expected.json` what must come out of it.
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes the expected files anew. The inputs serve as seeds, too: damaged
//! in any way, each must end somewhere. `ANAMNESIS_FUZZ_SECONDS=600` goes on for as long with each form,
//! in time of the processor, all side by side; with `ANAMNESIS_FUZZ_FORMS=Pdf,Hl7v2`, with these only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anamnesis::domain::{
    Delivery, Feed, Format, Outcome, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp, Unreadable,
};
use anamnesis::stages::normalize::{Origin, normalize};
use anamnesis::stages::split::{Piece, split};
use cpu_time::ThreadTime;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/normalize")
}

const MAPPING: &str = r#"
    records = "/records"
    key = "Id"
    patient = "Contact.Patient"
    kind = "contact"
    resource_type = "Communication"
    title = "{Channel}: {Subject}"
    lines = ["{Channel} on {Day} about {Subject}", "Outcome: {Outcome}", "{Remark}"]
    author = "Agent"
    effective = "Day"
    source_time = "Changed"
    status = "Status"
    deleted = "Gone""#;

fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("golden"),
        patients: "north".into(),
        warn_after_s: 60,
        error_after_s: 600,
        feed: Feed::default(),
        mapping: Some(toml::from_str(MAPPING).unwrap()),
    }
}

fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    if name.ends_with(".expected.json") {
        return None;
    }
    [
        (".crm.json", Format::MappedJson),
        (".json", Format::FhirJson),
        (".ndjson", Format::FhirNdjson),
        (".txt", Format::Text),
        (".md", Format::Markdown),
        (".csv", Format::MappedCsv),
        (".fhir.xml", Format::FhirXml),
        (".cda.xml", Format::Cda),
        (".hl7", Format::Hl7v2),
        (".x12", Format::X12),
        (".html", Format::Html),
        (".rtf", Format::Rtf),
        (".docx", Format::Docx),
        (".pdf", Format::Pdf),
    ]
    .into_iter()
    .find(|(ending, _)| name.ends_with(ending))
    .map(|(_, format)| format)
}

fn refused(ordinal: u32, unreadable: &Unreadable) -> Value {
    json!({ "ordinal": ordinal, "unreadable": { "reason": unreadable.reason, "detail": unreadable.detail } })
}

fn normalized(path: &Path, format: Format, bytes: Vec<u8>) -> Value {
    let source = source();
    let delivery = Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: source.name.clone(),
        format,
        name: path.file_name().and_then(|name| name.to_str()).map(str::to_owned),
        bytes,
        received_at: Timestamp::parse("2025-01-01T00:00:00Z").unwrap(),
    };
    let origin = Origin { source: &source, format, name: delivery.name.as_deref(), received_at: delivery.received_at };
    split(&delivery, source.mapping.as_ref())
        .into_iter()
        .map(|piece| match piece {
            Piece::Unreadable { ordinal, unreadable, .. } => refused(ordinal, &unreadable),
            Piece::Record(record) => match normalize(&record, &origin) {
                Err(unreadable) => refused(record.ordinal, &unreadable),
                Ok(normalized) => {
                    let outcome = match normalized.outcome {
                        Outcome::Documents(documents) => {
                            json!({ "documents": documents.iter().map(shown).collect::<Vec<_>>() })
                        }
                        Outcome::Changes(changes) => json!({
                            "merges": changes.merges.iter().map(|merge| format!("{merge:?}")).collect::<Vec<_>>(),
                            "removals": changes.removals.iter().map(|removal| format!("{removal:?}")).collect::<Vec<_>>(),
                            "documents": changes.documents.iter().map(shown).collect::<Vec<_>>(),
                        }),
                        Outcome::Removed { source_key } => json!({ "removed": source_key }),
                        Outcome::CarriesNothing { name } => json!({ "carries_nothing": name }),
                    };
                    json!({ "ordinal": record.ordinal, "outcome": outcome, "findings": normalized.findings })
                }
            },
        })
        .collect()
}

/// The document, its text as lines, so that a diff shows which one changed.
fn shown(document: &anamnesis::domain::Document) -> Value {
    let mut shown = serde_json::to_value(document).unwrap();
    shown["text"] = document.text.split('\n').collect();
    // Codes for scopes and consents are tested where they are gathered; here they would drown what is read.
    shown["labels"].as_object_mut().unwrap().remove("codes");
    for (fact, value) in document.facts.iter().zip(shown["facts"].as_array_mut().unwrap()) {
        value["line"] = json!(fact.span.of(&document.text).unwrap());
    }
    shown
}

#[test]
fn every_case_comes_out_as_recorded() {
    let rewrite = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let (mut compared, mut differing) = (0, Vec::new());
    for path in cases {
        let Some(format) = format_of(&path) else { continue };
        let case = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
        let expected = folder().join(format!("{case}.expected.json"));
        let actual = format!("{:#}\n", normalized(&path, format, fs::read(&path).unwrap()));
        compared += 1;
        if rewrite {
            fs::write(&expected, actual).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != actual {
            differing.push(format!("{case}:\n{actual}"));
        }
    }
    assert!(compared > 20, "only {compared} cases");
    assert!(differing.is_empty(), "{} cases differ from what is recorded:\n{}", differing.len(), differing.join("\n"));
}

/// Cuts, overwrites, repeats and swaps in place; the same number damages alike.
fn damaged(bytes: &[u8], number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..200)).min(bytes.len());
        match random.u8(..5) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, random.u8(..)),
            2 => bytes[at..end].reverse(),
            3 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.u8(..)),
            _ => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

type Seeds = Vec<(PathBuf, Vec<u8>)>;

/// Damages the inputs of one form in turn, until it has had its time of the processor; says how often.
fn damage_all(seeds: &Seeds, format: Format, time: Duration) -> u64 {
    const LEAST: u64 = 60;
    let began = ThreadTime::now();
    let mut number = 0;
    while number < LEAST || began.elapsed() < time {
        for (path, bytes) in seeds {
            let outcome = std::panic::catch_unwind(|| normalized(path, format, damaged(bytes, number)));
            assert!(outcome.is_ok(), "{} damaged by number {number} makes a panic", path.display());
            number += 1;
        }
    }
    number
}

#[test]
fn a_damaged_delivery_of_any_form_ends_somewhere() {
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let time = Duration::from_secs(seconds);
    let mut forms: BTreeMap<String, (Format, Seeds)> = BTreeMap::new();
    for path in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let Some(format) = format_of(&path) else { continue };
        let bytes = fs::read(&path).unwrap();
        forms.entry(format!("{format:?}")).or_insert_with(|| (format, Vec::new())).1.push((path, bytes));
    }
    assert_eq!(forms.len(), 14);
    if let Ok(wanted) = std::env::var("ANAMNESIS_FUZZ_FORMS") {
        forms.retain(|name, _| wanted.split(',').any(|form| form == name));
    }
    std::thread::scope(|scope| {
        for (name, (format, seeds)) in &forms {
            scope.spawn(move || eprintln!("{name}: {} damaged deliveries", damage_all(seeds, *format, time)));
        }
    });
}
