//! One mapping with all it can say, and rows that don't fit.

use super::*;
use crate::domain::{Document, Feed, Format, PatientId, SourceDescription, SourceId, Timestamp};

fn mapping(text: &str) -> Mapping {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn origin<'a>(source: &'a SourceDescription, name: Option<&'a str>) -> Origin<'a> {
    Origin { source, format: Format::MappedJson, name, received_at: Timestamp::from_micros(0) }
}

fn from_object(bytes: &[u8], source: &SourceDescription) -> Result<Normalized, Unreadable> {
    super::normalize_object(bytes, &origin(source, None))
}

fn from_row(bytes: &[u8], source: &SourceDescription) -> Result<Normalized, Unreadable> {
    super::normalize_row(bytes, &origin(source, None))
}

fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("crm"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: Some(mapping(
            r#"key = "id"
                patient = "contact.patient"
                kind = "contact"
                resource_type = "Communication"
                title = "{channel}: {subject}"
                lines = ["{channel} on {day}: {subject}", "Remark: {remark}"]
                effective = "day"
                status = "state"
                deleted = "gone""#,
        )),
    }
}

const OBJECT: &str = r#"{"id": 17, "contact": {"patient": "p-1"}, "channel": "Call", "subject": "Refill",
        "day": "2024-03-01T10:00:00.000+0000", "remark": null, "state": "closed", "gone": false}"#;

fn document(json: &str) -> Document {
    match from_object(json.as_bytes(), &source()).unwrap().outcome {
        Outcome::Documents(mut documents) => documents.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mapping_makes_a_document_of_an_object() {
    let document = document(OBJECT);
    assert_eq!(document.source_key, "17");
    assert_eq!(document.patient, Some(PatientId::new("p-1")));
    assert_eq!(document.text, "Call on 2024-03-01T10:00:00.000+0000: Refill");
    assert_eq!(document.times.effective, Timestamp::parse("2024-03-01T10:00:00Z"));
    assert_eq!(document.facts[0].span.of(&document.text), Some(document.text.as_str()));
    assert_eq!(document.facts[0].status.as_deref(), Some("closed"));
}

#[test]
fn a_field_the_row_lacks_is_unmapped() {
    let refused = from_object(br#"{"id": "1", "gone": "no"}"#, &source()).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::Unmapped);
    let unmapped = SourceDescription { mapping: None, ..source() };
    assert_eq!(from_object(OBJECT.as_bytes(), &unmapped).unwrap_err().reason, QuarantineReason::Unmapped);
}

#[test]
fn a_deleted_row_is_removed_and_a_null_relation_is_empty() {
    let gone = OBJECT.replace("\"gone\": false", "\"gone\": \"Yes\"");
    let outcome = from_object(gone.as_bytes(), &source()).unwrap().outcome;
    assert_eq!(outcome, Outcome::Removed { source_key: "17".into() });
    let unrelated = OBJECT.replace(r#"{"patient": "p-1"}"#, "null");
    assert_eq!(document(&unrelated).patient, None);
}

#[test]
fn a_row_is_read_with_its_header() {
    let bytes =
        b"id;contact.patient;channel;subject;day;remark;state;gone\n9;p-2;Mail;\"Two\nlines\";2024-01-02;;open;0\n";
    let outcome = from_row(bytes, &source()).unwrap().outcome;
    let Outcome::Documents(documents) = outcome else { panic!() };
    assert_eq!(documents[0].text, "Mail on 2024-01-02: Two\nlines");
    assert_eq!(documents[0].patient, Some(PatientId::new("p-2")));
}

#[test]
fn an_empty_key_is_refused() {
    let keyless = OBJECT.replace("17", "\" \"");
    assert_eq!(from_object(keyless.as_bytes(), &source()).unwrap_err().reason, QuarantineReason::InvalidResource);
}
