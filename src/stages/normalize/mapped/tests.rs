//! One mapping with all it can say, and rows that don't fit.

use super::*;
use crate::domain::{
    Document, DocumentStatus, FactKind, FactValue, Feed, Format, PatientId, SourceDescription, SourceId, Timestamp,
};

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

fn read_with(text: &str, json: &str) -> Result<Normalized, Unreadable> {
    from_object(json.as_bytes(), &data_tests::source(mapping(text)))
}

fn document_with(text: &str, json: &str) -> Document {
    match read_with(text, json).unwrap().outcome {
        Outcome::Documents(mut documents) => documents.remove(0),
        Outcome::Changes(mut changes) => changes.documents.remove(0),
        other => panic!("{other:?}"),
    }
}

const VISITS: &str = r#"
    missing = "empty"
    time_zone = "America/New_York"
    table.status = { 1 = "booked", 4 = "cancelled" }
    table.system = { 0 = "http://hl7.org/fhir/sid/icd-10-cm" }
    [[object]]
    name = "visit"
    when = [{ field = "type", equals = "visit" }, { file = "visits*.csv" }]
    key = "visit/{site}-{number}"
    patient = [{ value = "mrn" }, { value = "id", namespace = "desk" }]
    alias = { value = "id", namespace = "desk" }
    encounter = "Encounter/{number}"
    version = "revision"
    kind = "appointment"
    resource_type = "Appointment"
    title = "Visit {start|date}"
    lines = [
      { text = "Visit on {start|date} at {start|time}: {state|table:status}", fact = { kind = "appointment", display = "Visit" } },
      { text = "Diagnosis: {code#|icd}", repeat = 3, fact = { kind = "condition", system = "{version#|table:system}", code = "{code#|icd}", display = "Diagnosis {code#|icd}" } },
      { text = "Weight: {weight} kg", fact = { kind = "observation", system = "http://loinc.org", code = "29463-7", display = "Weight", value = "{weight}", unit = "kg", status = "final" } },
      { text = "With {name}, {role|lower}", each = "staff" },
      { text = "{@name|label}: {@value}", fields = "*__c", except = ["Secret*"] },
      "Charge: {charge|money:USD}",
      "Room: {room|default:not said}",
      "Remark: {remark}",
    ]
    effective = "start"
    source_time = "changed"
    status = "state|table:status"
    entered_in_error = ["void"]
    deleted = "gone"
    deleted_values = ["D"]
    labels = { confidentiality = "{level}", sensitivity = ["{subject}"] }
    [[object]]
    name = "slot"
    when = { field = "type", equals = "slot" }
    ignore = true
"#;

const VISIT: &str = r#"{"type": "visit", "site": "N", "number": 7, "id": "d-1", "mrn": "p-1", "revision": 3,
    "start": "2024-07-01 09:00", "changed": "2024-06-01T00:00:00Z", "state": 4, "level": "R", "subject": "PSY",
    "code1": "F1120", "version1": "0", "code2": "", "code3": "F1120", "version3": "0", "weight": 70.5,
    "staff": [{"name": "Kim", "role": "NURSE"}, {"name": "Ito", "role": null}], "charge": "12.5",
    "Care_Level__c": "high", "Secret_Word__c": "x"}"#;

#[test]
fn an_object_of_a_mapping_makes_lines_facts_labels_and_times() {
    let document = document_with(VISITS, VISIT);
    assert_eq!(
        document.text,
        "Visit on 2024-07-01 at 09:00: cancelled\nDiagnosis: F11.20\nWeight: 70.5 kg\nWith Kim, nurse\nWith Ito,\n\
         Care Level: high\nCharge: 12.50 USD\nRoom: not said"
    );
    assert_eq!((document.source_key.as_str(), document.source_version.as_deref()), ("visit/N-7", Some("3")));
    assert_eq!(document.encounter.as_deref(), Some("Encounter/7"));
    assert_eq!(document.times.effective, Timestamp::parse("2024-07-01T13:00:00Z"));
    assert_eq!(document.labels.confidentiality.as_str(), "R");
    assert_eq!(document.labels.sensitivity, ["PSY", "SUD"]);
    let lines: Vec<_> = document.facts.iter().map(|fact| fact.span.of(&document.text).unwrap()).collect();
    assert_eq!(lines, ["Visit on 2024-07-01 at 09:00: cancelled", "Diagnosis: F11.20", "Weight: 70.5 kg"]);
    assert_eq!(document.facts[0].status.as_deref(), Some("cancelled"));
    assert_eq!(document.facts[1].code.as_deref(), Some("F11.20"));
    let weight = FactValue::Quantity { value: 70.5, unit: Some("kg".into()) };
    assert_eq!((document.facts[2].value.clone(), document.facts[2].kind), (Some(weight), FactKind::Observation));
}

#[test]
fn a_patient_known_by_two_ids_is_one() {
    let Outcome::Changes(changes) = read_with(VISITS, VISIT).unwrap().outcome else { panic!() };
    let [merge] = changes.merges.as_slice() else { panic!() };
    assert_eq!((merge.merged.as_str(), merge.survivor.as_str()), ("desk:d-1", "p-1"));
    assert_eq!(merge.at, Timestamp::parse("2024-06-01T00:00:00Z"));
    let unknown = document_with(VISITS, &VISIT.replace("\"p-1\"", "null"));
    assert_eq!(unknown.patient, Some(PatientId::new("desk:d-1")));
}

#[test]
fn a_deletion_carries_its_time() {
    let gone = VISIT.replace("\"weight\"", "\"gone\": \"d\", \"weight\"");
    let Outcome::Changes(changes) = read_with(VISITS, &gone).unwrap().outcome else { panic!() };
    assert_eq!((changes.removals.len(), changes.documents.len()), (1, 0));
    assert_eq!(changes.removals[0].at, Timestamp::parse("2024-06-01T00:00:00Z"));
    assert_eq!(changes.removals[0].source_key, "visit/N-7");
}

#[test]
fn a_row_entered_in_error_is_marked() {
    let void = document_with(VISITS, &VISIT.replace("\"state\": 4", "\"state\": \"VOID\""));
    assert_eq!(void.status, DocumentStatus::EnteredInError);
    assert_eq!(document_with(VISITS, VISIT).status, DocumentStatus::Current);
}

#[test]
fn an_ignored_row_is_counted_by_its_objects_name() {
    let slot = read_with(VISITS, r#"{"type": "slot"}"#).unwrap().outcome;
    assert_eq!(slot, Outcome::CarriesNothing { name: "slot".into() });
}

#[test]
fn a_row_that_nothing_fits_names_its_fields_and_no_value() {
    let refused = read_with(VISITS, r#"{"type": "secretvalue", "amount": 5}"#).unwrap_err();
    assert_eq!(refused.detail, "no object of the mapping fits; fields: type, amount");
    assert_eq!(refused.reason, QuarantineReason::Unmapped);
    let headerless = read_with(VISITS, r#"{"Ana Ruiz": "x", "1970-01-01": "y", "ana@example.org": 1}"#).unwrap_err();
    assert_eq!(headerless.detail, "no object of the mapping fits; 3 fields that don't look like names");
}

#[test]
fn the_delivery_name_can_choose_the_object() {
    let source = data_tests::source(mapping(VISITS));
    let read = |name| super::normalize_row(b"site,number\nN,8", &origin(&source, Some(name)));
    assert!(matches!(read("in/Visits-2024.CSV").unwrap().outcome, Outcome::Documents(_)));
    assert_eq!(read("other.csv").unwrap_err().reason, QuarantineReason::Unmapped);
}

#[test]
fn a_wrong_time_is_a_finding_and_a_half_key_is_refused() {
    let normalized = read_with(VISITS, &VISIT.replace("2024-06-01T00:00:00Z", "lately")).unwrap();
    assert_eq!(normalized.findings[0].path, "mapping.source_time");
    assert_eq!(normalized.findings[0].rule, "invalid_date");
    let refused = read_with(VISITS, &VISIT.replace("\"number\": 7", "\"number\": null")).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::InvalidResource);
}

#[test]
fn a_header_without_rows_and_an_empty_list_carry_nothing() {
    let header = from_row(b"id;contact.patient", &source()).unwrap().outcome;
    assert_eq!(header, Outcome::CarriesNothing { name: "header without rows".into() });
    let list = from_object(b"[]", &source()).unwrap().outcome;
    assert_eq!(list, Outcome::CarriesNothing { name: "list without objects".into() });
}

fn hubspot(json: &str) -> Document {
    let source = data_tests::source(data_tests::shipped("hubspot"));
    let mut found = data_tests::take(&source, Format::MappedJson, "export.json", json.into(), &mut Default::default());
    assert_eq!(found.len(), 1, "{json}");
    found.remove(0)
}

#[test]
fn hubspot_objects_are_known_by_what_they_hold() {
    let contact = hubspot(
        r#"{"results":[{"id":"51","properties":{"firstname":"Ana","lastname":"Ruiz","patient_id":"p-1",
        "phone":null,"date_of_birth":"1970-02-03"},"updatedAt":"2024-05-01T10:00:00.000Z","archived":false}]}"#,
    );
    assert_eq!(contact.text, "Name: Ana Ruiz\nBorn: 1970-02-03");
    assert_eq!((contact.source_key.as_str(), contact.patient), ("contact/51", Some(PatientId::new("p-1"))));
    let call = hubspot(
        r#"[{"id":"9","properties":{"hs_call_title":"Refill","hs_call_direction":"INBOUND",
        "hs_timestamp":"2024-05-02T09:30:00Z","hs_call_body":"<p>Asked for <b>lisinopril</b></p>"},
        "associations":{"contacts":{"results":[{"id":"51","type":"call_to_contact"}]}}}]"#,
    );
    assert_eq!(call.text, "inbound call on 2024-05-02 09:30: Refill\nAsked for lisinopril");
    assert_eq!((call.kind.as_str(), call.patient), ("contact", Some(PatientId::new("hubspot:51"))));
    for (properties, key) in [
        (r#"{"subject":"Bill","hs_pipeline_stage":"1"}"#, "ticket/1"),
        (r#"{"hs_task_subject":"Call back"}"#, "task/1"),
        (r#"{"hs_meeting_title":"Visit","hs_meeting_start_time":"2024-05-02T09:30:00Z"}"#, "meeting/1"),
        (r#"{"hs_email_subject":"Hello","hs_email_text":"Hi"}"#, "email/1"),
        (r#"{"hs_note_body":"Seen"}"#, "note/1"),
        (r#"{"hs_communication_channel_type":"SMS","hs_communication_body":"On my way"}"#, "communication/1"),
        (r#"{"dealname":"Hip"}"#, "deal/1"),
    ] {
        assert_eq!(hubspot(&format!(r#"{{"id":"1","properties":{properties}}}"#)).source_key, key);
    }
}

#[test]
fn a_hubspot_deletion_takes_the_contact_back() {
    let source = data_tests::source(data_tests::shipped("hubspot"));
    let event = br#"{"subscriptionType":"contact.deletion","objectId":51,"occurredAt":1714557600000}"#;
    let Outcome::Changes(changes) = from_object(event, &source).unwrap().outcome else { panic!() };
    assert_eq!(changes.removals[0].source_key, "contact/51");
    assert_eq!(changes.removals[0].at, Timestamp::parse("2024-05-01T10:00:00Z"));
}

#[test]
fn a_salesforce_contact_that_names_its_patient_lends_it_to_its_cases() {
    let source = data_tests::source(data_tests::shipped("salesforce"));
    let contact = br#"{"attributes":{"type":"Contact"},"Id":"003A","LastName":"Ruiz","Patient_ID__c":"p-1"}"#;
    let Outcome::Changes(changes) = from_object(contact, &source).unwrap().outcome else { panic!() };
    let case = br#"{"attributes":{"type":"Case"},"Id":"500A","CaseNumber":"1","Subject":"Bill","ContactId":"003A"}"#;
    let Outcome::Documents(cases) = from_object(case, &source).unwrap().outcome else { panic!() };
    assert_eq!(Some(&changes.merges[0].merged), cases[0].patient.as_ref());
    assert_eq!(changes.merges[0].survivor, PatientId::new("p-1"));
}
