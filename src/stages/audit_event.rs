//! A row of the audit trail as a FHIR R4 AuditEvent, in the shape of IHE's Basic Audit Log Patterns.

use serde_json::{Value, json};

use crate::domain::AuditRecord;

const TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const OWN: &str = "urn:anamnesis:audit";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const ENTITY: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const CYCLE: &str = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle";
const PROFILE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit";

pub fn audit_event(record: &AuditRecord) -> Value {
    let (kind, profile, action, interaction) = nature(record);
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": format!("audit-{}", record.sequence),
        "meta": {"profile": [format!("{PROFILE}.{profile}")]},
        "type": kind,
        "subtype": [interaction],
        "action": action,
        "recorded": record.at.to_string(),
        "outcome": outcome(&record.outcome),
        "agent": agents(record),
        "source": {"observer": {"display": "anamnesis"}, "type": [{"system":
            "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server"}]},
        "entity": entities(record),
    });
    if let Some(purpose) = &record.purpose {
        event["purposeOfEvent"] = json!([{"coding": [{"system": REASON, "code": purpose}]}]);
    }
    event
}

/// Type, profile, action letter and subtype.
fn nature(record: &AuditRecord) -> (Value, &'static str, &'static str, Value) {
    let rest = json!({"system": TYPE, "code": "rest", "display": "RESTful Operation"});
    let of = |code: &str| json!({"system": INTERACTION, "code": code});
    let own = |code: &str| json!({"system": OWN, "code": code});
    match (record.class.as_str(), record.action.as_str()) {
        ("refusal", _) => {
            (json!({"system": DICOM, "code": "110114", "display": "User Authentication"}), "Auth", "E", own("refusal"))
        }
        ("break_glass", "break_glass") => (
            json!({"system": DICOM, "code": "110127", "display": "Emergency Override Started"}),
            "Query",
            "E",
            own("break-glass"),
        ),
        ("write", _) => (rest, "Create", "C", of("create")),
        ("admin", action) if action.contains("erase") => (rest, "Delete", "D", of("delete")),
        ("admin", _) => (rest, "Query", "E", own("administration")),
        (_, "document" | "original") => (rest, "PatientRead", "R", of("vread")),
        (_, "search" | "patients" | "facets") => (rest, "PatientQuery", "E", of("search-type")),
        (_, "answer" | "context") => (rest, "PatientQuery", "E", own(&record.action)),
        _ => (rest, "Query", "E", of("operation")),
    }
}

fn outcome(word: &str) -> &'static str {
    match word {
        "success" | "empty" => "0",
        "failed" => "8",
        _ => "4",
    }
}

fn agents(record: &AuditRecord) -> Value {
    let mut user = json!({
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP",
                             "display": "information recipient"}]},
        "who": {"identifier": {"value": record.caller}},
        "altId": record.caller,
        "requestor": true,
    });
    if let Some(purpose) = &record.purpose {
        user["purposeOfUse"] = json!([{"coding": [{"system": REASON, "code": purpose}]}]);
    }
    if let Some(grant) = &record.break_glass {
        user["policy"] = json!([format!("urn:anamnesis:break-glass:{grant}")]);
    }
    let mut agents = vec![user];
    if let Some(client) = &record.client {
        agents.push(json!({
            "type": {"coding": [{"system": DICOM, "code": "110150", "display": "Application"}]},
            "who": {"identifier": {"value": client}},
            "requestor": false,
        }));
    }
    agents.push(json!({
        "type": {"coding": [{"system": DICOM, "code": "110152", "display": "Destination Role ID"}]},
        "who": {"display": "anamnesis"},
        "requestor": false,
    }));
    json!(agents)
}

fn entities(record: &AuditRecord) -> Value {
    let system_object = |code: &str, display: &str| json!({"system": ROLE, "code": code, "display": display});
    let mut entities = vec![json!({
        "what": {"identifier": {"system": "urn:anamnesis:request", "value": record.request_id}},
        "type": {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"},
    })];
    if let Some(patient) = &record.patient {
        entities.push(json!({
            "what": {"reference": format!("Patient/{patient}")},
            "type": {"system": ENTITY, "code": "1", "display": "Person"},
            "role": system_object("1", "Patient"),
        }));
    }
    for key in record.document_keys() {
        entities.push(json!({
            "what": {"reference": format!("DocumentReference/{}/_history/{}", key.id, key.version)},
            "type": {"system": ENTITY, "code": "2", "display": "System Object"},
            "role": system_object("4", "Domain Resource"),
            "lifecycle": {"system": CYCLE, "code": "6", "display": "Access / Use"},
        }));
    }
    json!(entities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn record(class: &str, action: &str, outcome: &str) -> AuditRecord {
        AuditRecord {
            sequence: 7,
            tenant: "north".to_owned(),
            at: Timestamp::from_micros(1_700_000_000_000_000),
            caller: "dr-grey".to_owned(),
            client: Some("portal".to_owned()),
            purpose: Some("TREAT".to_owned()),
            class: class.to_owned(),
            break_glass: None,
            action: action.to_owned(),
            patient: Some("p1".to_owned()),
            documents: r#"[{"id":"abc","version":2}]"#.to_owned(),
            outcome: outcome.to_owned(),
            request_id: "r1".to_owned(),
        }
    }

    #[test]
    fn an_event_has_what_r4_demands() {
        for (class, action) in [
            ("read", "search"),
            ("read", "document"),
            ("write", "POST /v1/sources/{source}/records"),
            ("refusal", "x"),
            ("admin", "admin_erase"),
            ("break_glass", "break_glass"),
        ] {
            let event = audit_event(&record(class, action, "success"));
            // 1..1 and 1..* of AuditEvent: type, recorded, agent with requestor, source.observer.
            assert!(event["type"]["code"].is_string() && event["source"]["observer"].is_object(), "{class}");
            assert_eq!(event["recorded"], "2023-11-14T22:13:20Z");
            let agents = event["agent"].as_array().unwrap();
            assert!(agents.iter().all(|agent| agent["requestor"].is_boolean()));
            assert_eq!(agents.iter().filter(|agent| agent["requestor"] == true).count(), 1);
            assert!(["C", "R", "U", "D", "E"].contains(&event["action"].as_str().unwrap()));
        }
    }

    #[test]
    fn patient_versions_purpose_and_outcome_are_named() {
        let event = audit_event(&record("read", "document", "not_found"));
        assert_eq!(event["outcome"], "4");
        assert_eq!(event["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
        let named: Vec<_> =
            event["entity"].as_array().unwrap().iter().map(|entity| &entity["what"]["reference"]).collect();
        assert!(named.contains(&&json!("Patient/p1")));
        assert!(named.contains(&&json!("DocumentReference/abc/_history/2")));
    }
}
