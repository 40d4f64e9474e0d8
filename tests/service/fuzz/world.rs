//! Two organisations with four patients each, every record with a word of its own, and what bounds callers beside their
//! tokens: a loaded list, consents, a broken glass, capped and masked clients.

use anamnesis::access::TokenGrant;
use anamnesis::config::{ClientConfig, Config, SourceConfig};
use anamnesis::domain::TenantId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::reference::{CAPPED, MASKED, Record};
use crate::builders::{allergy, bundle, condition, labelled, medication, note, observation, patient};
use crate::harness::{FHIR, NDJSON, Reply, Server, text};
use crate::stored::free_port;
use crate::tokens::{self, ADMIN, SENDER};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// Tenant, caller and the patients on the caller's loaded list.
pub const LISTED: (&str, &str, [&str; 2]) = ("north", "dr-white", ["p0", "p1"]);
/// Tenant, caller, patient and labels of a broken glass.
pub const GLASS: (&str, &str, &str, [&str; 2]) = ("north", "dr-grey", "p1", ["PSY", "HIV"]);
/// A patient whose consent keeps notes from everybody.
pub const DENIES_NOTES: (&str, &str) = ("north", "p2");
/// One whose consent keeps everything from somebody.
pub const DENIES_ALL: (&str, &str) = ("south", "p0");
pub const DENIED_TO: &str = "dr-grey";
/// One whose consent shows somebody what is labelled `PSY`.
pub const PERMITS_PSY: (&str, &str, &str) = ("north", "p3", "dr-black");

pub struct World {
    pub server: Server,
    pub records: Vec<Record>,
    pub receipts: Vec<String>,
    pub others: Vec<String>,
    /// The grant that [`GLASS`] tells of.
    pub grant: RwLock<String>,
    /// Where HL7 messages are taken.
    pub mllp: u16,
    _secrets: tempfile::TempDir,
}

fn configure(config: &mut Config, secrets: &std::path::Path, mllp: u16) {
    config.secrets_dir = Some(secrets.to_owned());
    config.access.deidentify_key = Some("deidentify".to_owned());
    config.clients = vec![
        ClientConfig {
            id: CAPPED.0.to_owned(),
            kinds: Some(CAPPED.1.map(str::to_owned).into()),
            ..ClientConfig::default()
        },
        ClientConfig { id: MASKED.to_owned(), deidentify: true, ..ClientConfig::default() },
    ];
    let feed = toml::from_str(&format!("mode = \"mllp\"\nlisten = \"127.0.0.1:{mllp}\"")).unwrap();
    config.sources.push(SourceConfig {
        name: "hl7".to_owned(),
        patients: "hl7".to_owned(),
        warn_after_s: 3_600,
        error_after_s: 7_200,
        feed: Some(feed),
        mapping: None,
    });
}

pub async fn world() -> World {
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("deidentify"), [7; 32]).unwrap();
    let mllp = free_port();
    let server = Server::with(|config| configure(config, secrets.path(), mllp)).await;
    let admin = tokens::mint_in("south", ADMIN);
    let declare = json!({"patients": "main", "warn_after_s": 60, "error_after_s": 600, "mapping": null});
    server.put(&admin, "/v1/admin/sources/ehr", &declare).await.expect(200);
    let mut records = Vec::new();
    let mut receipts = Vec::new();
    for tenant in ["north", "south"] {
        for number in 0..4 {
            let id = format!("p{number}");
            let (resources, mut described) = chart(tenant, &id);
            receipts.push(take_in(&server, tenant, &bundle(&resources)).await);
            find_documents(&server, tenant, &mut described).await;
            records.append(&mut described);
        }
    }
    server.ingest_and_wait(NDJSON, "{\"broken\": \n").await;
    let others = vec![text(&server.quarantine().await[0]["id"]), "none".to_owned()];
    bound(&server).await;
    let grant = RwLock::new(break_glass(&server).await);
    World { server, records, receipts, others, grant, mllp, _secrets: secrets }
}

async fn take_in(server: &Server, tenant: &str, body: &Value) -> String {
    let sender = tokens::mint_in(tenant, SENDER);
    let sent = server.send(&sender, "ehr", FHIR, body.to_string()).await.expect(202).json();
    server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
    text(&sent["receipt"])
}

async fn find_documents(server: &Server, tenant: &str, records: &mut [Record]) {
    let all = tokens::sign(&TokenGrant {
        sensitivity: vec!["V".to_owned(), "PSY".to_owned(), "HIV".to_owned()],
        ..tokens::grant(tenant, "system/*.rs")
    });
    for record in records {
        let body = json!({"query": record.word, "mode": "keyword", "limit": 100});
        let hits = server.search(&all, &body).await;
        record.document = text(&hits.first().unwrap_or_else(|| panic!("{record:?} is not found"))["document"]);
    }
}

/// The list and the consents.
async fn bound(server: &Server) {
    let (tenant, caller, patients) = LISTED;
    let path = format!("/v1/admin/rosters/{caller}");
    server.put(&tokens::mint_in(tenant, ADMIN), &path, &json!({"patients": patients})).await.expect(200);
    let actor = |who: &str| json!([{"reference": {"identifier": {"value": who}}}]);
    let class = json!([{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]);
    let permit = json!({"type": "permit", "actor": actor(PERMITS_PSY.2), "securityLabel": [{"code": "PSY"}]});
    for ((tenant, patient), provision) in [
        (DENIES_NOTES, json!({"type": "deny", "class": class})),
        (DENIES_ALL, json!({"type": "deny", "actor": actor(DENIED_TO)})),
        ((PERMITS_PSY.0, PERMITS_PSY.1), json!({"type": "permit", "provision": [permit]})),
    ] {
        let consent = json!({"resourceType": "Consent", "id": format!("{patient}k"), "status": "active",
            "patient": {"reference": format!("Patient/{patient}")}, "provision": provision});
        take_in(server, tenant, &consent).await;
    }
}

/// A grant as [`GLASS`] tells; each lasts an hour.
pub async fn break_glass(server: &Server) -> String {
    let (tenant, caller, patient, labels) = GLASS;
    let user = tokens::sign(&TokenGrant::new(caller, TenantId::new(tenant), "user/*.rs"));
    let asked = json!({"patient": patient, "purpose": "ETREAT", "reason": "collapsed at the door",
        "categories": labels, "minutes": 60});
    let reply = Reply::read(server.request(Method::POST, &user, "/v1/break-glass").json(&asked)).await;
    text(&reply.expect(200).json()["grant"])
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
