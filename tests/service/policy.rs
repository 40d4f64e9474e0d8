//! What bounds callers beside their tokens takes effect on the next request: lists, revocations, consents, labels,
//! profiles, and a broken glass.

use anamnesis::access::TokenGrant;
use anamnesis::config::ClientConfig;
use anamnesis::domain::{PatientId, TenantId};
use serde_json::{Value, json};

use crate::builders::{bundle, condition, deletion, labelled, medication, note, observation, patient, said_at};
use crate::harness::{FHIR, Reply, Server, text};
use crate::tokens::{self, ADMIN, READER};

async fn server() -> Server {
    let server = Server::start().await;
    fill(&server).await;
    server
}

async fn fill(server: &Server) {
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        note("n1", "p1", "Ana comes for migraineword."),
        labelled(note("n2", "p1", "Ana comes for psychword."), "v3-ActCode", "PSY"),
        labelled(note("n3", "p1", "Ana comes for sessionword."), "v3-ActCode", "PSYTHPN"),
        observation("o1", "p1", "Glucose", 90.0),
        patient("p2", "Ben", "Okoro"),
        note("n4", "p2", "Ben comes for coughword."),
    ]);
    server.ingest_fhir(&records).await;
}

/// The words of the records that a token finds, in order.
async fn words(server: &Server, token: &str) -> Vec<&'static str> {
    words_under(server, token, None).await
}

async fn words_under(server: &Server, token: &str, grant: Option<&str>) -> Vec<&'static str> {
    let body = json!({"query": "anything", "mode": "dense", "limit": 100});
    let mut request = server.request(reqwest::Method::POST, token, "/v1/search").json(&body);
    if let Some(grant) = grant {
        request = request.header("x-break-glass", grant);
    }
    let found = Reply::read(request).await.expect(200).text();
    ["migraineword", "psychword", "sessionword", "Glucose", "coughword"]
        .into_iter()
        .filter(|word| found.contains(word))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_list_bounds_a_user_from_the_next_request_on() {
    let server = server().await;
    let (user, admin) = (tokens::mint(READER), tokens::mint(ADMIN));
    assert_eq!(words(&server, &user).await, ["migraineword", "Glucose", "coughword"]);
    let path = "/v1/admin/rosters/dr-grey";
    server.put(&admin, path, &json!({"patients": ["p2"]})).await.expect(200);
    assert_eq!(words(&server, &user).await, ["coughword"]);
    assert_eq!(server.get(&user, "/v1/patients").await.json()["patients"].as_array().unwrap().len(), 1);
    server.put(&admin, path, &json!({"patients": ["p1", "p2"]})).await.expect(200);
    assert_eq!(words(&server, &tokens::with_roster(&["p2"])).await, ["coughword"]);
    server.put(&admin, path, &json!({"patients": []})).await.expect(200);
    assert!(words(&server, &user).await.is_empty());
    Reply::read(server.request(reqwest::Method::DELETE, &admin, path)).await.expect(204);
    assert_eq!(words(&server, &user).await.len(), 3);
    // A list of another tenant is another list.
    server.put(&tokens::mint_in("south", ADMIN), path, &json!({"patients": []})).await.expect(200);
    assert_eq!(words(&server, &user).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_lists_are_needed_a_user_without_one_reaches_nobody() {
    let server = Server::with(|config| config.access.needs_roster = true).await;
    fill(&server).await;
    let user = tokens::mint(READER);
    assert!(words(&server, &user).await.is_empty());
    server.put(&tokens::mint(ADMIN), "/v1/admin/rosters/dr-grey", &json!({"patients": ["p1"]})).await.expect(200);
    assert_eq!(words(&server, &user).await, ["migraineword", "Glucose"]);
    assert_eq!(words(&server, &tokens::mint("system/*.rs")).await.len(), 3);
    assert_eq!(words(&server, &tokens::for_patient("p2", "patient/*.rs")).await, ["coughword"]);
}

fn team(version: u8, member: &str, period: &Value) -> Value {
    let record = json!({
        "resourceType": "CareTeam", "id": "t1", "status": "active", "subject": {"reference": "Patient/p2"},
        "participant": [{"member": {"reference": member}, "period": period}], "meta": {},
    });
    said_at(record, &format!("2024-06-0{version}T08:00:00Z"), &version.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn care_teams_of_trusted_sources_are_lists() {
    let server = Server::with(|config| config.access.care_team_sources = vec!["ehr".to_owned()]).await;
    fill(&server).await;
    let of_practitioner = |claimed: Option<&str>| {
        let grant = TokenGrant::new("dr-grey", TenantId::new("north"), READER);
        tokens::sign(&TokenGrant {
            fhir_user: Some("https://ehr.example/fhir/Practitioner/7".to_owned()),
            patients: claimed.map(|patient| vec![PatientId::new(patient)]),
            ..grant
        })
    };
    let member = of_practitioner(None);
    // Who is in no team and on no list reaches nobody.
    assert!(words(&server, &member).await.is_empty());
    let open = json!({"start": "2024-01-01"});
    server.ingest_into("lab", FHIR, team(1, "Practitioner/7", &open).to_string()).await;
    assert!(words(&server, &member).await.is_empty(), "another source's team is no list");
    server.ingest_fhir(&team(1, "Practitioner/7", &open)).await;
    assert_eq!(words(&server, &member).await, ["coughword"]);
    assert!(words(&server, &tokens::mint(READER)).await.is_empty(), "a caller who isn't in it");
    assert!(words(&server, &of_practitioner(Some("p1"))).await.is_empty(), "the claim binds, too");
    server.put(&tokens::mint(ADMIN), "/v1/admin/rosters/dr-grey", &json!({"patients": ["p1"]})).await.expect(200);
    assert_eq!(words(&server, &member).await, ["migraineword", "Glucose", "coughword"]);
    for (version, reference, period) in
        [(2, "Practitioner/7", json!({"end": "2024-05-01"})), (4, "Practitioner/8", open.clone())]
    {
        server.ingest_fhir(&team(version, reference, &period)).await;
        assert_eq!(words(&server, &member).await, ["migraineword", "Glucose"], "{reference} {period}");
        server.ingest_fhir(&team(version + 1, "Practitioner/7", &open)).await;
        assert_eq!(words(&server, &member).await.len(), 3);
    }
    server.ingest_fhir(&deletion(&["CareTeam/t1"])).await;
    assert_eq!(words(&server, &member).await, ["migraineword", "Glucose"]);
    let refusal = Server::refusal(|config| config.access.care_team_sources = vec!["No Such".to_owned()]).await;
    assert!(refusal.to_string().contains("care_team_sources"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_and_all_of_a_revoked_caller_are_refused_at_once() {
    let server = server().await;
    let admin = tokens::sign(&TokenGrant::new("admin", TenantId::new("north"), ADMIN));
    let (one, two) = (tokens::mint(READER), tokens::mint(READER));
    let id = jti(&one);
    server.post(&admin, "/v1/admin/revocations", &json!({"token": id})).await.expect(204);
    server.get(&one, "/v1/whoami").await.problem(401, "token_invalid");
    server.get(&two, "/v1/whoami").await.expect(200);
    server.post(&admin, "/v1/admin/revocations", &json!({"caller": "dr-grey"})).await.expect(204);
    server.get(&two, "/v1/whoami").await.problem(401, "token_invalid");
    server.get(&admin, "/v1/whoami").await.expect(200);
    for body in [json!({}), json!({"token": "a", "caller": "b"})] {
        server.post(&admin, "/v1/admin/revocations", &body).await.problem(400, "revocation_invalid");
    }
}

fn jti(token: &str) -> String {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&bytes).unwrap();
    text(&claims["jti"])
}

fn consent(id: &str, patient: &str, version: &str, provision: &Value) -> Value {
    let record = json!({
        "resourceType": "Consent", "id": id, "status": "active", "patient": {"reference": format!("Patient/{patient}")},
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "provision": provision,
        "meta": {"versionId": version},
    });
    said_at(record, &format!("2024-06-0{version}T08:00:00Z"), version)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_denies_by_actor_and_category_and_permits_what_it_names() {
    let server = server().await;
    let (user, own) = (tokens::mint(READER), tokens::for_patient("p1", "patient/*.rs"));
    let deny_user = json!({"type": "deny", "actor": [{"reference": {"identifier": {"value": "dr-grey"}}}],
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]});
    server.ingest_fhir(&consent("k1", "p1", "1", &deny_user)).await;
    assert_eq!(words(&server, &user).await, ["Glucose", "coughword"]);
    // Both tokens are of the same subject; another's isn't bound.
    let other = tokens::sign(&TokenGrant::new("dr-karev", TenantId::new("north"), READER));
    assert_eq!(words(&server, &other).await, ["migraineword", "Glucose", "coughword"]);
    let permit = json!({"type": "permit", "provision": [{"type": "permit",
        "actor": [{"reference": {"identifier": {"value": "dr-grey"}}}], "securityLabel": [{"code": "PSY"}]}]});
    server.ingest_fhir(&consent("k1", "p1", "2", &permit)).await;
    assert_eq!(words(&server, &user).await, ["migraineword", "psychword", "Glucose", "coughword"]);
    assert_eq!(words(&server, &other).await, ["migraineword", "Glucose", "coughword"]);
    let past = json!({"type": "deny", "period": {"end": "2020-01-01"}});
    server.ingest_fhir(&consent("k1", "p1", "3", &past)).await;
    assert_eq!(words(&server, &user).await, ["migraineword", "Glucose", "coughword"]);
    let all = json!({"type": "deny"});
    server.ingest_fhir(&consent("k1", "p1", "4", &all)).await;
    assert_eq!(words(&server, &user).await, ["coughword"]);
    assert!(words(&server, &own).await.is_empty());
    let mut withdrawn = consent("k1", "p1", "5", &all);
    withdrawn["status"] = json!("inactive");
    server.ingest_fhir(&withdrawn).await;
    assert_eq!(words(&server, &user).await, ["migraineword", "Glucose", "coughword"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_glass_opens_one_patient_for_one_caller_and_is_reported() {
    let server = server().await;
    let admin = tokens::mint(ADMIN);
    let user = tokens::with_roster(&["p2"]);
    assert_eq!(words(&server, &user).await, ["coughword"]);
    let ask = json!({"patient": "p1", "purpose": "ETREAT", "reason": "found unconscious", "categories": ["PSY"]});
    let grant = server.post(&user, "/v1/break-glass", &ask).await.expect(200).json();
    let grant = text(&grant["grant"]);
    assert_eq!(words(&server, &user).await, ["coughword"], "nothing opens without the grant");
    let opened = words_under(&server, &user, Some(&grant)).await;
    assert_eq!(opened, ["migraineword", "psychword", "Glucose", "coughword"]);
    // Nobody else's, and no made-up one.
    let other = tokens::sign(&TokenGrant::new("dr-karev", TenantId::new("north"), READER));
    for (token, grant) in [(&other, grant.as_str()), (&user, "made-up")] {
        let request = server.request(reqwest::Method::GET, token, "/v1/whoami").header("x-break-glass", grant);
        Reply::read(request).await.problem(403, "break_glass_not_open");
    }
    let report = server.get(&admin, "/v1/admin/break-glass").await.expect(200).json();
    assert_eq!(
        (&report["grants"][0]["caller"], &report["grants"][0]["reason"]),
        (&json!("dr-grey"), &json!("found unconscious"))
    );
    let trail = server.get(&admin, "/v1/admin/audit?patient=p1").await.expect(200).text();
    assert!(trail.contains(&format!("urn:anamnesis:break-glass:{grant}")));
    for (name, value) in [
        ("reason", json!("short")),
        ("purpose", json!("TREAT")),
        ("categories", json!(["PSYTHPN"])),
        ("categories", json!(["V"])),
        ("minutes", json!(61)),
        ("patient", json!("")),
    ] {
        let mut asked = ask.clone();
        asked[name] = value;
        server.post(&user, "/v1/break-glass", &asked).await.problem(400, "break_glass_invalid");
    }
    for token in [tokens::for_patient("p2", "patient/*.rs"), tokens::mint("system/*.rs"), tokens::mint("user/*.c")] {
        server.post(&token, "/v1/break-glass", &ask).await.problem(403, "scope_missing");
    }
}

fn of_client(client: &str, scopes: &str, purpose: Option<&str>) -> String {
    tokens::sign(&TokenGrant {
        client: Some(client.to_owned()),
        purpose: purpose.map(str::to_owned),
        ..tokens::grant("north", scopes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_the_minimum_whatever_its_token_opens() {
    let server = Server::with(|config| {
        config.clients = vec![ClientConfig {
            id: "crm".to_owned(),
            kinds: Some(vec!["patient".to_owned(), "result".to_owned()]),
            fields: Some(vec!["name".to_owned(), "gender".to_owned()]),
            purposes: Some(vec!["HOPERAT".to_owned()]),
            ..ClientConfig::default()
        }];
    })
    .await;
    fill(&server).await;
    let crm = of_client("crm", "user/*.rs system/*.rs", Some("HOPERAT"));
    assert_eq!(words(&server, &crm).await, ["Glucose"]);
    let listed = server.get(&crm, "/v1/patients").await.expect(200).json();
    assert_eq!((&listed["patients"][0]["sex"], &listed["patients"][0]["birth_date"]), (&json!("female"), &Value::Null));
    let context = server.get(&crm, "/v1/patients/p1/context").await.expect(200);
    assert!(!context.text().contains("1970"), "{}", context.text());
    // Neither a purpose that it wasn't given, nor none, nor selling by anybody.
    for token in [
        of_client("crm", READER, Some("TREAT")),
        of_client("crm", READER, None),
        of_client("other", READER, Some("HMARKT")),
    ] {
        server.get(&token, "/v1/whoami").await.problem(401, "token_invalid");
    }
    assert_eq!(words(&server, &of_client("other", READER, None)).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granular_scope_reaches_what_it_names_on_every_route() {
    let server = Server::start().await;
    let mut lab = observation("o1", "p1", "Glucose", 90.0);
    lab["category"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}]);
    let mut vital = observation("o2", "p1", "Pulse", 70.0);
    vital["category"] = json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}]);
    let records =
        [patient("p1", "Ana", "Ruiz"), lab, vital, condition("c1", "p1", "Asthma"), medication("m1", "p1", "Aspirin")];
    server.ingest_fhir(&bundle(&records)).await;
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    let token = tokens::for_patient("p1", &format!("patient/Observation.rs?category={system}|laboratory"));
    let hits = server.search(&token, &json!({"query": "anything", "mode": "dense", "limit": 100})).await;
    let titles: std::collections::BTreeSet<String> = hits.iter().map(|hit| text(&hit["title"])).collect();
    assert_eq!(titles.into_iter().collect::<Vec<_>>(), ["Glucose"]);
    let context = server.get(&token, "/v1/patients/p1/context").await.expect(200).json();
    assert_eq!(context["results"].as_array().unwrap().len(), 1);
    assert_eq!(context["omitted"].as_array().unwrap().len(), 6);
    let pulse = server.document_with("pulse").await;
    server.get(&token, &format!("/v1/documents/{pulse}")).await.problem(404, "not_found");
    let facets = server.post(&token, "/v1/facets", &json!({})).await.expect(200).json();
    assert_eq!(facets["documents"], 1);
    // A label or category that is put on later counts from then on.
    let mut relabelled = observation("o1", "p1", "Glucose", 90.0);
    relabelled["category"] = json!([{"coding": [{"system": system, "code": "survey"}]}]);
    server.ingest_fhir(&said_at(relabelled, "2024-05-01T08:00:00Z", "2")).await;
    assert!(server.search(&token, &json!({"query": "anything", "mode": "dense", "limit": 100})).await.is_empty());
}
