//! FHIR resources before and after a scrubber: what the scrubber took out must not show in the masked text of what the
//! server makes of the resource.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Share;
use crate::cli::{Done, Failure};
use crate::domain::{Document, Feed, Format, Outcome, RawRecord, SourceDescription, SourceId, Timestamp, today};
use crate::stages::deidentify::{Known, Secret, Subject, mask};
use crate::stages::normalize::{Origin, normalize};

/// Elements that hold identifiers, where the scrubber drops or changes them.
const ELEMENTS: [&str; 11] = [
    "family",
    "given",
    "line",
    "city",
    "postalCode",
    "birthDate",
    "telecom",
    "identifier",
    "display",
    "id",
    "reference",
];
const VALUED: [&str; 2] = ["telecom", "identifier"];

pub(super) fn run(folder: &Path) -> Done {
    let (mut shares, mut said) = (BTreeMap::<&str, Share>::new(), Share::default());
    for file in std::fs::read_dir(folder.join("phi-in"))? {
        let path = file?.path();
        let name = path.file_name().ok_or_else(|| Failure::new("a file without a name"))?;
        let bytes = std::fs::read(&path)?;
        let before: Value = serde_json::from_slice(&bytes)?;
        let after: Value = serde_json::from_slice(&std::fs::read(folder.join("phi-out").join(name))?)?;
        let left: BTreeSet<&str> = leaves(&after, "").into_iter().map(|(_, text)| text).collect();
        let documents = documents(bytes);
        let plain: String =
            documents.iter().map(|document| format!("{}\n{}\n", document.title, document.text)).collect();
        let shown: String = documents.iter().map(shown).collect();
        for (element, text) in leaves(&before, "") {
            // What was never said can't be taken out.
            if may_stand_anywhere(text) || left.contains(text) || !plain.contains(text) {
                continue;
            }
            shares.entry(element).or_default().count(!shown.contains(text));
            said.count(!shown.contains(text));
        }
    }
    println!("resources before and after a scrubber\n\n| recall of | found | said | share |\n|---|---:|---:|---:|");
    shares.iter().for_each(|(element, share)| println!("{}", share.row(element)));
    println!("{}", said.row("all"));
    Ok(())
}

/// Two letters, or an everyday word: some identifiers of the set are `drop`, as a remark on what is to become of them.
fn may_stand_anywhere(text: &str) -> bool {
    text.len() < 3 || text.chars().all(char::is_lowercase)
}

/// Texts of the elements that hold identifiers, each with its element.
fn leaves<'a>(value: &'a Value, element: &'static str) -> Vec<(&'static str, &'a str)> {
    match value {
        Value::String(text) if !element.is_empty() => vec![(element, text.as_str())],
        Value::Array(items) => items.iter().flat_map(|item| leaves(item, element)).collect(),
        // Of a telecom or an identifier the value tells whose it is, not the words for its sort.
        Value::Object(members) if VALUED.contains(&element) => {
            members.get("value").map(|value| leaves(value, element)).unwrap_or_default()
        }
        Value::Object(members) => {
            let is_reference = members.contains_key("reference");
            let named = |name: &str| ELEMENTS.iter().find(|element| **element == name).copied();
            let element = |name: &str| named(name).filter(|name| *name != "display" || is_reference);
            members.iter().flat_map(|(name, value)| leaves(value, element(name).unwrap_or_default())).collect()
        }
        _ => Vec::new(),
    }
}

fn documents(bytes: Vec<u8>) -> Vec<Document> {
    let source = SourceDescription {
        name: SourceId::new("ehr"),
        patients: "main".to_owned(),
        warn_after_s: 1,
        error_after_s: 2,
        mapping: None,
        feed: Feed::default(),
    };
    let origin = Origin { source: &source, format: Format::FhirJson, name: None, received_at: Timestamp::now() };
    match normalize(&RawRecord { bytes, ..RawRecord::default() }, &origin) {
        Ok(read) => match read.outcome {
            Outcome::Documents(documents) => documents,
            _ => Vec::new(),
        },
        Err(_) => Vec::new(),
    }
}

/// A document's title and text as a de-identified client sees them, when the resource is all of the record.
fn shown(document: &Document) -> String {
    let mut known = Known::default();
    for fact in &document.facts {
        if fact.kind == crate::domain::FactKind::Demographic
            && let Some(crate::domain::FactValue::Text(value)) = &fact.value
        {
            known.add(&fact.display, value);
        }
    }
    document.author.iter().for_each(|author| known.add_name(author));
    document.patient.iter().for_each(|patient| known.add_id(patient.as_str()));
    let subject = Subject::new(&Secret::random(), "main", document.patient.as_ref().map(|id| id.as_str()), known);
    let masked = |text: &str| mask(text, &subject, today()).text;
    format!("{}\n{}\n", masked(&document.title), masked(&document.text))
}
