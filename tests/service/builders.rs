//! Records of people who don't exist.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub fn patient(id: &str, given: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "meta": {"lastUpdated": "2024-01-01T00:00:00Z"},
        "name": [{"given": [given], "family": family}], "birthDate": "1970-02-03", "gender": "female",
    })
}

/// A note with one plain attachment.
pub fn note(id: &str, patient: &str, text: &str) -> Value {
    notes(id, patient, &[text])
}

/// A note with several attachments.
pub fn notes(id: &str, patient: &str, texts: &[&str]) -> Value {
    let content: Vec<Value> = texts
        .iter()
        .map(|text| json!({"attachment": {"contentType": "text/plain", "data": STANDARD.encode(text)}}))
        .collect();
    json!({
        "resourceType": "DocumentReference", "id": id, "status": "current",
        "meta": {"versionId": "1", "lastUpdated": "2024-03-01T08:00:00Z"},
        "type": {"text": "Progress note"}, "subject": {"reference": format!("Patient/{patient}")},
        "date": "2024-03-01T08:00:00Z", "content": content,
    })
}

/// The same record, said anew by its source at this time.
pub fn said_at(mut record: Value, time: &str, version: &str) -> Value {
    record["meta"]["lastUpdated"] = json!(time);
    record["meta"]["versionId"] = json!(version);
    record
}

pub fn labelled(mut record: Value, system: &str, code: &str) -> Value {
    let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
    record["meta"]["security"] = json!([{"system": system, "code": code}]);
    record
}

pub fn observation(id: &str, patient: &str, name: &str, value: f64) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "meta": {"lastUpdated": "2024-03-02T08:00:00Z"}, "code": {"text": name},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": "2024-03-02T07:00:00Z",
        "valueQuantity": {"value": value, "unit": "mg/dL"},
    })
}

pub fn condition(id: &str, patient: &str, name: &str) -> Value {
    json!({
        "resourceType": "Condition", "id": id, "meta": {"lastUpdated": "2024-01-05T08:00:00Z"},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                                       "code": "active"}]},
        "code": {"text": name}, "subject": {"reference": format!("Patient/{patient}")},
        "onsetDateTime": "2019-05-01",
    })
}

pub fn medication(id: &str, patient: &str, name: &str) -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order",
        "meta": {"lastUpdated": "2024-01-06T08:00:00Z"}, "medicationCodeableConcept": {"text": name},
        "subject": {"reference": format!("Patient/{patient}")}, "authoredOn": "2024-01-06",
    })
}

pub fn allergy(id: &str, patient: &str, name: &str) -> Value {
    json!({
        "resourceType": "AllergyIntolerance", "id": id, "meta": {"lastUpdated": "2024-01-07T08:00:00Z"},
        "code": {"text": name}, "patient": {"reference": format!("Patient/{patient}")},
    })
}

pub fn encounter(id: &str, patient: &str, reason: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": id, "status": "finished", "meta": {"lastUpdated": "2024-03-01T09:00:00Z"},
        "class": {"code": "AMB"}, "subject": {"reference": format!("Patient/{patient}")},
        "reasonCode": [{"text": reason}], "period": {"start": "2024-03-01T08:00:00Z"},
    })
}

pub fn within_encounter(mut record: Value, encounter: &str) -> Value {
    let reference = json!({"reference": format!("Encounter/{encounter}")});
    if record["resourceType"] == "DocumentReference" {
        record["context"]["encounter"] = json!([reference]);
    } else {
        record["encounter"] = reference;
    }
    record
}

pub fn bundle(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources.iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

/// A Bundle that says these records are gone.
pub fn deletion(keys: &[&str]) -> Value {
    let entries: Vec<Value> = keys.iter().map(|key| json!({"request": {"method": "DELETE", "url": key}})).collect();
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

/// A source whose rows are calls of a CRM.
pub fn crm_source(key: &str) -> Value {
    json!({
        "patients": "main", "warn_after_s": 3_600, "error_after_s": 7_200,
        "mapping": {
            "records": "/records", "key": key, "patient": "person", "kind": "contact",
            "resource_type": "Communication", "title": "{channel}: {subject}",
            "lines": ["{channel} about {subject}", "{remark}"], "author": "agent", "effective": "day",
            "source_time": "changed", "status": null, "deleted": null,
        },
    })
}

pub fn call(id: &str, patient: &str, subject: &str, remark: &str) -> Value {
    json!({
        "id": id, "person": patient, "channel": "Call", "subject": subject, "remark": remark, "agent": "Sam Ito",
        "day": "2024-04-01", "changed": "2024-04-01T10:00:00Z",
    })
}

pub const CRM: &str = "application/vnd.anamnesis.crm+json";
