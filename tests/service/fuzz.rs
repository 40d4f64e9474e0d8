//! Random callers ask random things of every route of the API document; a second reading of the rules, which shares no
//! code with the service, says which words may come back. None other ever does.
//!
//! `ANAMNESIS_FUZZ` sets how many requests are made; the default is what runs with the other tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anamnesis::access::TokenGrant;
use anamnesis::domain::{PatientId, TenantId};
use anamnesis::http::openapi_document;
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::builders::{allergy, bundle, condition, labelled, medication, note, observation, patient};
use crate::harness::{FHIR, NDJSON, Reply, Server, text};
use crate::tokens::{self, ADMIN, SENDER};

const REQUESTS: usize = 20_000;
const TASKS: usize = 8;
const SEED: u64 = 20_261_128;
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// One record of the world, as the reference knows it.
#[derive(Clone, Debug)]
struct Record {
    tenant: &'static str,
    patient: String,
    resource_type: &'static str,
    category: Option<&'static str>,
    label: Option<&'static str>,
    /// Stands in this record and nowhere else.
    word: String,
    document: String,
}

#[derive(Clone, Debug)]
struct Principal {
    tenant: &'static str,
    scopes: Vec<String>,
    launch: Option<String>,
    roster: Option<Vec<String>>,
    clearance: Vec<&'static str>,
}

struct World {
    server: Server,
    records: Vec<Record>,
    receipts: Vec<String>,
    others: Vec<String>,
}

struct Scope {
    context: String,
    what: String,
    read: bool,
    search: bool,
    category: Option<String>,
}

fn scopes(principal: &Principal, grammar: &Regex) -> Vec<Scope> {
    let read = |word: &String| {
        let parts = grammar.captures(word)?;
        let letters = match &parts[3] {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        let query = parts.get(4).map(|query| query.as_str());
        // Only what has a category may be narrowed by one, and not in the v1 forms.
        let narrowable =
            ["Observation", "Condition"].contains(&&parts[2]) && !["read", "write", "*"].contains(&&parts[3]);
        let category = match query {
            None => None,
            Some(query) if narrowable => Some(query.strip_prefix("category=")?.to_owned()),
            Some(_) => return None,
        };
        Some(Scope {
            context: parts[1].to_owned(),
            what: parts[2].to_owned(),
            read: letters.contains('r'),
            search: letters.contains('s'),
            category,
        })
    };
    principal.scopes.iter().filter_map(read).collect()
}

/// Whether a record may be opened, and whether it may be found.
fn allowed(principal: &Principal, scopes: &[Scope], record: &Record) -> (bool, bool) {
    let is_cleared = match record.label {
        None => true,
        Some("R") => principal.clearance.iter().any(|code| ["R", "V"].contains(code)),
        Some(label) => principal.clearance.contains(&label),
    };
    if principal.tenant != record.tenant || !is_cleared {
        return (false, false);
    }
    // Rights over the same patients are joined: the launch patient, the list, everybody.
    let mut groups: Vec<(BTreeSet<String>, bool, bool, bool)> = Vec::new();
    for scope in scopes {
        let (whose, everyone): (BTreeSet<String>, bool) =
            match (scope.context.as_str(), &principal.launch, &principal.roster) {
                ("patient", Some(launch), _) => (BTreeSet::from([launch.clone()]), false),
                ("patient", None, _) => continue,
                ("user", _, Some(roster)) => (roster.iter().cloned().collect(), false),
                _ => (BTreeSet::new(), true),
            };
        let about = (everyone || whose.contains(&record.patient))
            && (scope.what == "*" || scope.what == record.resource_type)
            && scope.category.as_deref().is_none_or(|category| record.category == Some(category));
        groups.push((whose, everyone, scope.read && about, scope.search && about));
    }
    let read = groups.iter().any(|(.., read, _)| *read);
    // Finding needs both rights over one set of patients; joined over several sets it is at most this.
    let found = groups.iter().any(|(whose, everyone, _, search)| {
        *search
            && groups
                .iter()
                .any(|(other, other_everyone, read, _)| *read && other == whose && other_everyone == everyone)
    });
    (read, found)
}

async fn world() -> World {
    let server = Server::start().await;
    let admin = tokens::mint_in("south", ADMIN);
    let declare = json!({"patients": "main", "warn_after_s": 60, "error_after_s": 600, "mapping": null});
    server.put(&admin, "/v1/admin/sources/ehr", &declare).await.expect(200);
    let mut records = Vec::new();
    let mut receipts = Vec::new();
    for tenant in ["north", "south"] {
        for number in 0..4 {
            let id = format!("p{number}");
            let (resources, mut described) = chart(tenant, &id);
            let sender = tokens::mint_in(tenant, SENDER);
            let sent = server.send(&sender, "ehr", FHIR, bundle(&resources).to_string()).await.expect(202).json();
            server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
            receipts.push(text(&sent["receipt"]));
            let all = tokens::sign(&TokenGrant {
                sensitivity: vec!["V".to_owned(), "PSY".to_owned(), "HIV".to_owned()],
                ..tokens::grant(tenant, "system/*.rs")
            });
            for record in &mut described {
                let body = json!({"query": record.word, "mode": "keyword", "limit": 100});
                let hits = server.search(&all, &body).await;
                record.document = text(&hits.first().unwrap_or_else(|| panic!("{record:?} is not found"))["document"]);
            }
            records.append(&mut described);
        }
    }
    server.ingest_and_wait(NDJSON, "{\"broken\": \n").await;
    let others = vec![text(&server.quarantine().await[0]["id"]), "none".to_owned()];
    World { server, records, receipts, others }
}

/// A patient's records, each with a word of its own.
fn chart(tenant: &'static str, id: &str) -> (Vec<Value>, Vec<Record>) {
    let mut described = Vec::new();
    let mut word = |resource_type, category, label| {
        let letters = |number: usize| (b'a' + u8::try_from(number).unwrap_or(0)) as char;
        let number = described.len();
        let word = format!(
            "zq{tenant}{}{}xv",
            id.replace(['0', '1', '2', '3'], &letters(id.as_bytes()[1] as usize - 48).to_string()),
            letters(number)
        );
        described.push(Record {
            tenant,
            patient: id.to_owned(),
            resource_type,
            category,
            label,
            word: word.clone(),
            document: String::new(),
        });
        word
    };
    let of_category = |mut record: Value, code: &str| {
        record["category"] = json!([{"coding": [{"system": CATEGORY, "code": code}]}]);
        record
    };
    let resources = vec![
        patient(id, "Ana", &word("Patient", None, None)),
        note(&format!("{id}n1"), id, &format!("PLAN\nShe mentions {} today.", word("DocumentReference", None, None))),
        labelled(note(&format!("{id}n2"), id, &word("DocumentReference", None, Some("R"))), "v3-Confidentiality", "R"),
        labelled(note(&format!("{id}n3"), id, &word("DocumentReference", None, Some("PSY"))), "v3-ActCode", "PSY"),
        of_category(
            observation(&format!("{id}o1"), id, &word("Observation", Some("laboratory"), None), 1.0),
            "laboratory",
        ),
        of_category(
            observation(&format!("{id}o2"), id, &word("Observation", Some("vital-signs"), None), 2.0),
            "vital-signs",
        ),
        labelled(
            of_category(
                observation(&format!("{id}o3"), id, &word("Observation", Some("laboratory"), Some("HIV")), 3.0),
                "laboratory",
            ),
            "v3-ActCode",
            "HIV",
        ),
        condition(&format!("{id}c1"), id, &word("Condition", None, None)),
        medication(&format!("{id}m1"), id, &word("MedicationRequest", None, None)),
        allergy(&format!("{id}a1"), id, &word("AllergyIntolerance", None, None)),
    ];
    (resources, described)
}

fn pick<'a, T>(random: &mut fastrand::Rng, of: &'a [T]) -> &'a T {
    &of[random.usize(..of.len())]
}

fn principal(random: &mut fastrand::Rng) -> Principal {
    const TYPES: [&str; 8] = [
        "*",
        "Observation",
        "Patient",
        "DocumentReference",
        "Condition",
        "MedicationRequest",
        "AllergyIntolerance",
        "Task",
    ];
    const LETTERS: [&str; 12] = ["r", "s", "rs", "cruds", "cud", "read", "write", "*", "crs", "sr", "d", "ruds"];
    const QUERIES: [&str; 8] =
        ["", "", "", "", "?category=laboratory", "?category=vital-signs", "?category:in=x", "?_id=1"];
    let mut scopes: Vec<String> = Vec::new();
    for _ in 0..random.usize(0..4) {
        let context = pick(random, &["patient", "patient", "user", "system", "Patient"]);
        scopes.push(format!("{context}/{}.{}{}", pick(random, &TYPES), pick(random, &LETTERS), pick(random, &QUERIES)));
    }
    let people = ["p0", "p1", "p2", "p3", "p9"];
    let roster =
        (random.f32() < 0.6).then(|| people.iter().filter(|_| random.bool()).map(|id| (*id).to_owned()).collect());
    Principal {
        tenant: pick::<&str>(random, &["north", "north", "south", "west"]),
        scopes,
        launch: (random.f32() < 0.7).then(|| (*pick(random, &people)).to_owned()),
        roster,
        clearance: ["R", "V", "PSY", "HIV"].into_iter().filter(|_| random.f32() < 0.2).collect(),
    }
}

fn token(principal: &Principal) -> String {
    tokens::sign(&TokenGrant {
        patient: principal.launch.as_deref().map(PatientId::new),
        patients: principal.roster.as_ref().map(|ids| ids.iter().map(PatientId::new).collect()),
        sensitivity: principal.clearance.iter().map(|code| (*code).to_owned()).collect(),
        ..TokenGrant::new("dr-grey", TenantId::new(principal.tenant), principal.scopes.join(" "))
    })
}

/// Method and path of every route that takes a token.
fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete"] {
            if item.get(method).is_some() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes
}

struct Asked {
    method: String,
    template: String,
    path: String,
    body: Option<Value>,
    /// The record that the path names.
    named: Option<usize>,
    events: bool,
}

fn ask(random: &mut fastrand::Rng, world: &World, routes: &[(String, String)]) -> Asked {
    // What gives most is asked most, and everything is asked.
    let reading = [
        "/v1/search",
        "/v1/answer",
        "/v1/facets",
        "/v1/documents/{id}",
        "/v1/documents/{id}/original",
        "/v1/patients/{id}/context",
        "/v1/patients",
    ];
    let (method, template) = match random.f32() < 0.8 {
        true => {
            let template = *pick(random, &reading);
            routes.iter().find(|(_, path)| path == template).unwrap().clone()
        }
        false => pick(random, routes).clone(),
    };
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
    path = path.replace("{caller}", "dr-grey").replace("{patient}", &record.patient);
    if is_document && random.bool() {
        path += *pick(random, &["?version=1", "?version=2"]);
    }
    let second = pick(random, &world.records);
    let words = format!("{} {} she mentions", record.word, second.word);
    let mode = pick(random, &["hybrid", "keyword", "dense"]);
    let body = match template.as_str() {
        "/v1/search" => {
            Some(json!({"query": words, "mode": mode, "limit": random.u32(1..=100), "explain": random.bool()}))
        }
        "/v1/answer" => Some(json!({"question": words, "mode": mode})),
        "/v1/facets" => Some(json!({"query": if random.bool() { words.as_str() } else { "" }})),
        _ if method != "GET" => Some(json!({})),
        _ => None,
    };
    let body = body.map(|mut body| {
        if template != "/v1/break-glass" && random.f32() < 0.3 && body.get("mode").or(body.get("query")).is_some() {
            body["patient"] = json!(record.patient);
        }
        body
    });
    Asked { named: is_document.then_some(position), method, template, path, body, events: random.f32() < 0.2 }
}

async fn one(world: &World, routes: &[(String, String)], grammar: &Regex, seed: u64) -> (u16, bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let who = principal(&mut random);
    let asked = ask(&mut random, world, routes);
    let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
    let mut request = world.server.request(method, &token(&who), &asked.path);
    if let Some(body) = &asked.body {
        request = request.json(body);
    }
    if asked.events {
        request = request.header("accept", "text/event-stream");
    }
    let reply = Reply::read(request).await;
    let told = || format!("seed {seed}: {who:?} asked {} {} {:?}", asked.method, asked.path, asked.body);
    assert!(reply.status < 500, "{}: {}", told(), reply.text());
    let shown = reply.text().to_lowercase();
    let scopes = scopes(&who, grammar);
    let mut showed = false;
    for (position, record) in world.records.iter().enumerate() {
        let (read, found) = allowed(&who, &scopes, record);
        let finds = !asked.template.starts_with("/v1/documents/") && !asked.template.ends_with("/context");
        let may = if finds { found } else { read };
        if shown.contains(&record.word) {
            showed = true;
            assert!(may, "{}: {record:?} came back", told());
        }
        // What is allowed and asked for by its id is given. Records of one key have one id, whatever the tenant.
        if asked.named == Some(position) && !asked.path.contains("version=2") {
            let mut same = world.records.iter().filter(|other| other.document == record.document);
            let opens = same.any(|other| allowed(&who, &scopes, other).0);
            assert_eq!(reply.status, if opens { 200 } else { 404 }, "{}: {record:?}", told());
        }
    }
    (reply.status, showed)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_gives_any_caller_a_word_that_the_rules_do_not_give() {
    let world = Arc::new(world().await);
    let routes = Arc::new(routes());
    let grammar =
        Regex::new(r"^(patient|user|system)/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)(?:\?(.*))?$").unwrap();
    let requests = std::env::var("ANAMNESIS_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(REQUESTS);
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (world, routes, grammar, next) = (world.clone(), routes.clone(), grammar.clone(), next.clone());
            tokio::spawn(async move {
                let (mut good, mut showed) = (0_usize, 0_usize);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return (good, showed);
                    }
                    let (status, did) = one(&world, &routes, &grammar, SEED + number as u64).await;
                    good += usize::from(status == 200);
                    showed += usize::from(did);
                }
            })
        })
        .collect();
    let (mut good, mut showed) = (0, 0);
    for task in tasks {
        let (some_good, some_showed) = task.await.unwrap();
        good += some_good;
        showed += some_showed;
    }
    // Doors that never open would leak nothing either.
    assert!(good > requests / 4 && showed > requests / 40, "{good} answered, {showed} showed a record");
    println!("{requests} requests: {good} answered, {showed} showed a record, no leak");
}
