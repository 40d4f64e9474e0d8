//! Records to feed: a generated clinic and the Synthea set, cut into pieces, and what must be held of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anamnesis::domain::{
    Delivery, DocumentId, DocumentStatus, Feed, Format, Outcome, PatientId, ReceiptId, SourceDescription, SourceId,
    TenantId, Timestamp,
};
use anamnesis::stages::normalize::{Origin, normalize};
use anamnesis::stages::split::{Piece as SplitPiece, split};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What one request sends.
#[derive(Clone)]
pub struct Piece {
    pub format: Format,
    pub body: String,
}

impl Piece {
    pub fn content_type(&self) -> &'static str {
        if self.format == Format::FhirJson { "application/fhir+json" } else { "application/fhir+ndjson" }
    }

    pub fn extension(&self) -> &'static str {
        if self.format == Format::FhirJson { "json" } else { "ndjson" }
    }
}

/// A document that must be held, and words that find it.
#[derive(Clone, Debug)]
pub struct Expected {
    pub patient: Option<PatientId>,
    pub words: String,
}

/// Splitmix: one seed, one row of numbers.
pub struct Random(u64);

impl Random {
    /// `ANAMNESIS_TEST_SEED` chooses other moments than the usual ones.
    pub fn seeded() -> Self {
        let seed = std::env::var("ANAMNESIS_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_401);
        eprintln!("ANAMNESIS_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number of the range, its end not among them.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }
}

const COMPLAINTS: [&str; 8] = [
    "cough at night",
    "knee pain on stairs",
    "palpitations after coffee",
    "itching of both hands",
    "headache with nausea",
    "swelling of the ankles",
    "tingling in the feet",
    "loss of appetite",
];
const DRUGS: [&str; 6] = ["metformin", "lisinopril", "salbutamol", "ibuprofen", "amlodipine", "sertraline"];

/// Ten resources for each patient, each with words of its own.
pub fn clinic(patients: usize) -> Vec<Value> {
    (0..patients).flat_map(resources_of).collect()
}

fn resources_of(number: usize) -> Vec<Value> {
    let patient = format!("clinic-{number:03}");
    let subject = json!({ "reference": format!("Patient/{patient}") });
    let complaint = COMPLAINTS[number % COMPLAINTS.len()];
    let drug = DRUGS[number % DRUGS.len()];
    let mut resources = vec![json!({
        "resourceType": "Patient", "id": patient, "gender": "female", "birthDate": "1961-05-04",
        "name": [{ "family": format!("Quillfeather{number}"), "given": ["Odette"] }]
    })];
    for visit in 0..2 {
        resources.push(json!({
            "resourceType": "Condition", "id": format!("{patient}-problem-{visit}"), "subject": subject,
            "code": { "text": format!("{complaint}, visit {visit}") }, "recordedDate": "2024-02-03"
        }));
    }
    for month in 1..=4 {
        resources.push(json!({
            "resourceType": "Observation", "id": format!("{patient}-weight-{month}"), "subject": subject,
            "status": "final", "code": { "text": "Body weight" }, "effectiveDateTime": format!("2024-0{month}-11"),
            "valueQuantity": { "value": 60 + number + month, "unit": "kg" }
        }));
    }
    resources.push(json!({
        "resourceType": "AllergyIntolerance", "id": format!("{patient}-allergy"), "patient": subject,
        "code": { "text": format!("pollen number {number}") }
    }));
    resources.push(json!({
        "resourceType": "MedicationRequest", "id": format!("{patient}-order"), "subject": subject, "status": "active",
        "intent": "order", "medicationCodeableConcept": { "text": drug }, "authoredOn": "2024-03-02"
    }));
    let note = format!(
        "History: the patient reports {complaint} for {number} days.\n\nPlan: {drug} once daily, review in \
         {number} weeks. Case mark clinic{number}."
    );
    resources.push(json!({
        "resourceType": "DocumentReference", "id": format!("{patient}-note"), "subject": subject, "status": "current",
        "type": { "text": "Progress note" }, "date": "2024-03-02T10:00:00Z",
        "content": [{ "attachment": { "contentType": "text/plain", "data": STANDARD.encode(note) } }]
    }));
    resources
}

/// The resources in requests of a few, by turns as Bundle and as NDJSON.
pub fn pieces(resources: &[Value], each: usize) -> Vec<Piece> {
    resources.chunks(each).enumerate().map(|(number, part)| piece(part, number % 2 == 0)).collect()
}

fn piece(resources: &[Value], as_bundle: bool) -> Piece {
    if as_bundle {
        let entries: Vec<Value> = resources.iter().map(|resource| json!({ "resource": resource })).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
        return Piece { format: Format::FhirJson, body: bundle.to_string() };
    }
    let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
    Piece { format: Format::FhirNdjson, body: lines.join("\n") }
}

/// A folder of the public test data; says aloud when it isn't there.
pub fn data(folder: &str) -> Option<PathBuf> {
    let named = std::env::var_os("ANAMNESIS_TEST_DATA").map(PathBuf::from);
    let root = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let path = root.join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: {folder} isn't there; ANAMNESIS_TEST_DATA says where test data lies");
        return None;
    }
    Some(path)
}

/// Every resource of the Synthea Bundles, with references that hold outside of them.
pub fn synthea() -> Option<Vec<Value>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(data("fhir-synthea-r4")?).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Some(files.iter().flat_map(|path| bundle_of(path)).collect())
}

fn bundle_of(path: &Path) -> Vec<Value> {
    let bundle: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let entries = bundle["entry"].as_array().unwrap();
    let links: BTreeMap<String, String> = entries
        .iter()
        .map(|entry| (entry["fullUrl"].as_str().unwrap().to_owned(), key_of(&entry["resource"])))
        .collect();
    let mut resources: Vec<Value> = entries.iter().map(|entry| entry["resource"].clone()).collect();
    resources.iter_mut().for_each(|resource| relink(resource, &links));
    resources
}

/// `Type/id`.
pub fn key_of(resource: &Value) -> String {
    format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
}

fn relink(value: &mut Value, links: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(key) = links.get(text) {
                text.clone_from(key);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relink(item, links)),
        Value::Object(members) => members.values_mut().for_each(|member| relink(member, links)),
        _ => {}
    }
}

/// Every document that the pieces hold, by id.
pub fn expected(pieces: &[Piece], source: &str) -> BTreeMap<DocumentId, Expected> {
    let description = SourceDescription {
        name: SourceId::new(source),
        patients: "main".to_owned(),
        warn_after_s: 60,
        error_after_s: 600,
        feed: Feed::default(),
        mapping: None,
    };
    pieces.iter().flat_map(|piece| documents_of(piece, &description)).collect()
}

fn documents_of(piece: &Piece, source: &SourceDescription) -> Vec<(DocumentId, Expected)> {
    let delivery = Delivery {
        receipt: ReceiptId::fresh(),
        tenant: TenantId::new("main"),
        source: source.name.clone(),
        format: piece.format,
        name: None,
        bytes: piece.body.clone().into_bytes(),
        received_at: Timestamp::now(),
    };
    let origin = Origin { source, format: piece.format, name: None, received_at: delivery.received_at };
    let mut documents = Vec::new();
    for piece in split(&delivery, None) {
        let SplitPiece::Record(record) = piece else { panic!("the fixtures are readable") };
        let Outcome::Documents(read) = normalize(&record, &origin).unwrap().outcome else { continue };
        for document in read.into_iter().filter(|document| document.status == DocumentStatus::Current) {
            let words = format!("{} {}", document.title, document.text).chars().take(400).collect();
            let id = DocumentId::derive(&source.name, &document.source_key);
            documents.push((id, Expected { patient: document.patient, words }));
        }
    }
    documents
}

/// Writes each piece as a file.
pub fn write_files(pieces: &[Piece], folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (number, piece) in pieces.iter().enumerate() {
        fs::write(folder.join(format!("{number:04}.{}", piece.extension())), &piece.body).unwrap();
    }
}
