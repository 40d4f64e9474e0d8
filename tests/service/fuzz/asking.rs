//! Random callers, and what they ask.

use anamnesis::access::TokenGrant;
use anamnesis::domain::{PatientId, TenantId};
use serde_json::{Value, json};

use super::reference::{CAPPED, MASKED, Principal};
use super::world::World;
use crate::tokens::{self, ADMIN};

const TYPES: [&str; 12] = [
    "*",
    "*",
    "*",
    "*",
    "*",
    "Observation",
    "Patient",
    "DocumentReference",
    "Condition",
    "MedicationRequest",
    "AllergyIntolerance",
    "Task",
];
const LETTERS: [&str; 16] =
    ["rs", "rs", "rs", "rs", "rs", "r", "s", "cruds", "cud", "read", "write", "*", "crs", "sr", "d", "ruds"];
const QUERIES: [&str; 12] =
    ["", "", "", "", "", "", "", "", "?category=laboratory", "?category=vital-signs", "?category:in=x", "?_id=1"];
const PEOPLE: [&str; 5] = ["p0", "p1", "p2", "p3", "p9"];

pub fn pick<'a, T>(random: &mut fastrand::Rng, of: &'a [T]) -> &'a T {
    &of[random.usize(..of.len())]
}

pub fn principal(random: &mut fastrand::Rng) -> Principal {
    let mut scopes: Vec<String> = Vec::new();
    for _ in 0..random.usize(0..4) {
        let context = pick(random, &["patient", "patient", "user", "user", "system", "Patient"]);
        scopes.push(format!("{context}/{}.{}{}", pick(random, &TYPES), pick(random, &LETTERS), pick(random, &QUERIES)));
    }
    // Those who administer see no record by that.
    if random.f32() < 0.1 {
        scopes.push(ADMIN.to_owned());
    }
    let roster =
        (random.f32() < 0.5).then(|| PEOPLE.iter().filter(|_| random.bool()).map(|id| (*id).to_owned()).collect());
    Principal {
        tenant: pick::<&str>(random, &["north", "north", "north", "south", "south", "west"]),
        subject: pick::<&str>(random, &["dr-grey", "dr-grey", "dr-white", "dr-black"]),
        client: *pick(random, &[None, None, None, None, Some("portal"), Some(CAPPED.0), Some(MASKED)]),
        scopes,
        launch: (random.f32() < 0.7).then(|| (*pick(random, &PEOPLE)).to_owned()),
        roster,
        clearance: ["R", "V", "PSY", "HIV"].into_iter().filter(|_| random.f32() < 0.2).collect(),
        breaks_glass: random.f32() < 0.1,
    }
}

pub fn token(principal: &Principal) -> String {
    tokens::sign(&TokenGrant {
        patient: principal.launch.as_deref().map(PatientId::new),
        patients: principal.roster.as_ref().map(|ids| ids.iter().map(PatientId::new).collect()),
        sensitivity: principal.clearance.iter().map(|code| (*code).to_owned()).collect(),
        client: principal.client.map(str::to_owned),
        ..TokenGrant::new(principal.subject, TenantId::new(principal.tenant), principal.scopes.join(" "))
    })
}

pub struct Asked {
    pub route: usize,
    pub method: String,
    pub template: String,
    pub path: String,
    pub body: Option<Value>,
    /// The record that the path names.
    pub named: Option<usize>,
    pub events: bool,
}

/// What gives most is asked most, and everything is asked.
const READING: [&str; 9] = [
    "/v1/search",
    "/v1/search",
    "/v1/answer",
    "/v1/facets",
    "/v1/documents/{id}",
    "/v1/documents/{id}/original",
    "/v1/documents/{id}/similar",
    "/v1/patients/{id}/context",
    "/v1/patients",
];

pub fn ask(random: &mut fastrand::Rng, world: &World, routes: &[(String, String)]) -> Asked {
    let route = match random.f32() < 0.8 {
        true => {
            let template = *pick(random, &READING);
            routes.iter().position(|(_, path)| path == template).unwrap()
        }
        false => random.usize(..routes.len()),
    };
    let (method, template) = routes[route].clone();
    let position = random.usize(..world.records.len());
    let record = &world.records[position];
    let is_document = template.starts_with("/v1/documents/");
    let id = match template.as_str() {
        path if path.starts_with("/v1/documents/") => record.document.clone(),
        path if path.starts_with("/v1/patients/") => record.patient.clone(),
        path if path.starts_with("/v1/receipts/") => pick(random, &world.receipts).clone(),
        _ => pick(random, &world.others).clone(),
    };
    let mut path = template.replace("{id}", &id).replace("{source}", "ehr").replace("{type}", "Patient");
    // Nobody's list: the one that there is must stay.
    path = path.replace("{caller}", "nobody").replace("{patient}", &record.patient);
    if is_document && method == "GET" && random.bool() {
        path += *pick(random, &["?version=1", "?version=2"]);
    }
    let second = pick(random, &world.records);
    let words = format!("{} {} she mentions", record.word, second.word);
    let body = body(random, &method, &template, &words, &record.patient);
    Asked { route, named: is_document.then_some(position), method, template, path, body, events: random.f32() < 0.2 }
}

fn body(random: &mut fastrand::Rng, method: &str, template: &str, words: &str, patient: &str) -> Option<Value> {
    let mode = pick(random, &["hybrid", "keyword", "dense"]);
    let mut body = match template {
        "/v1/search" => json!({"query": words, "mode": mode, "limit": random.u32(1..=100), "explain": random.bool()}),
        "/v1/answer" => json!({"question": words, "mode": mode}),
        "/v1/facets" => json!({"query": if random.bool() { words } else { "" }}),
        "/v1/documents/{id}/similar" => json!({"limit": random.u32(1..=100)}),
        _ if method != "GET" => return Some(json!({})),
        _ => return None,
    };
    if random.f32() < 0.3 {
        body["patient"] = json!(patient);
    }
    if template == "/v1/answer" && random.f32() < 0.3 {
        body["conversation"] = json!(pick(random, &["ward", "round"]));
    }
    if random.f32() < 0.3 {
        body["filters"] = pick(
            random,
            &[
                json!({"kinds": ["note", "result", "patient"]}),
                json!({"sources": ["ehr"]}),
                json!({"sections": ["PLAN"]}),
                json!({"from": "2024-01-01", "to": "2024-12-31"}),
            ],
        )
        .clone();
    }
    Some(body)
}

/// A message over MLLP: its answer is all that comes back, whoever it asks about.
pub fn message(random: &mut fastrand::Rng, number: usize) -> String {
    let patient = pick(random, &PEOPLE);
    let kind = pick(random, &["ADT^A08", "ORU^R01", "QRY^A19", "QBP^Q22", "ZZZ^Z99"]);
    let rest = pick(
        random,
        &["PV1|1|I", "QRD|20260301|R|I|Q1|||1^RD|p1|DEM", "QPD|Q22^Find|T1|@PID.3.1^p1", "OBX|1|ST|718-7^Hb||13", ""],
    );
    format!(
        "MSH|^~\\&|ADT|NORTH|ANAMNESIS|NORTH|20260301120000||{kind}|F{number}|P|2.5.1\rPID|1||{patient}^^^NORTH^MR||\
         Meadow^Fuzz\r{rest}\r"
    )
}
