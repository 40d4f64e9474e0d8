//! Declaring feeds.

use serde_json::json;

use crate::builders::{CRM, call, crm_source};
use crate::harness::Server;
use crate::tokens::{self, ADMIN};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_source_is_listed_as_it_was_declared() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let mut declared = server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200).json();
    assert_eq!(declared["name"], "crm");
    let listed = async || server.get(&admin, "/v1/admin/sources").await.expect(200).json()["sources"].clone();
    let sources = listed().await;
    let names: Vec<_> = sources.as_array().unwrap().iter().map(|source| &source["name"]).collect();
    assert_eq!(names, ["crm", "ehr", "lab"]);
    assert_eq!(sources[0], declared);
    assert_eq!(sources[0]["mapping"]["lines"], json!(["{channel} about {subject}", "{remark}"]));
    // What was listed can be sent back, changed.
    declared["warn_after_s"] = json!(5);
    server.put(&admin, "/v1/admin/sources/crm", &declared).await.expect(200);
    assert_eq!(listed().await[0]["warn_after_s"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_mapping_is_declared_by_its_name() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let mut body = crm_source("id");
    body["mapping"] = json!("salesforce");
    let declared = server.put(&admin, "/v1/admin/sources/crm", &body).await.expect(200).json();
    assert_eq!(declared["mapping"]["object"][0]["name"], "Contact");
    // What is shown can be sent back.
    let again = server.put(&admin, "/v1/admin/sources/crm", &declared).await.expect(200).json();
    assert_eq!(again, declared);
    let case = json!({"records": [{"attributes": {"type": "Case"}, "Id": "5", "CaseNumber": "1", "Subject": "Parkingword",
        "ContactId": "003A"}]});
    server.ingest_into("crm", CRM, case.to_string()).await;
    server.document_with("parkingword").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_in_the_path_counts() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let mut body = crm_source("id");
    body["name"] = json!("another");
    let declared = server.put(&admin, "/v1/admin/sources/crm", &body).await.expect(200).json();
    assert_eq!(declared["name"], "crm");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_namespace_mean_the_same_people_and_others_do_not() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let mut apart = crm_source("id");
    apart["patients"] = json!("shop");
    server.put(&admin, "/v1/admin/sources/near", &crm_source("id")).await.expect(200);
    server.put(&admin, "/v1/admin/sources/far", &apart).await.expect(200);
    let near = json!({"records": [call("k1", "p1", "nearword", "")]});
    let far = json!({"records": [call("k1", "p1", "farword", "")]});
    server.ingest_into("near", CRM, near.to_string()).await;
    server.ingest_into("far", CRM, far.to_string()).await;
    let found = async |patient: &str, word: &str| {
        let body = json!({"query": word, "mode": "keyword"});
        server.search(&tokens::for_patient(patient, "patient/*.rs"), &body).await.len()
    };
    assert_eq!((found("p1", "nearword").await, found("p1", "farword").await), (1, 0));
    assert_eq!((found("shop:p1", "nearword").await, found("shop:p1", "farword").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_run_here_shows_how_it_fares_and_one_that_is_pushed_does_not() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    // Nobody listens there.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut body = json!({"patients": "main", "warn_after_s": 1, "error_after_s": 2, "mapping": null, "feed": {
        "mode": "poll", "url": format!("http://{unused}/fhir"), "types": ["Patient"],
        "credentials": {"kind": "bearer", "token": "absent-secret"}}});
    server.put(&admin, "/v1/admin/sources/away", &body).await.expect(200);
    let state = |sources: &serde_json::Value, name: &str| {
        let found = sources["sources"].as_array().unwrap().iter().find(|source| source["name"] == name);
        found.unwrap()["feed_state"].clone()
    };
    let failed = async |why: &str| {
        let path = "/v1/admin/sources";
        server
            .until(why, async || {
                let sources = server.get(&admin, path).await.expect(200).json();
                assert!(state(&sources, "ehr").is_null());
                let away = state(&sources, "away");
                let error = away["error"].as_str().unwrap_or_default().to_owned();
                (error.contains(why) && away["failures"].as_u64() > Some(0)).then_some(())
            })
            .await;
    };
    failed("absent-secret").await;
    body["feed"]["credentials"] = json!({"kind": "none"});
    server.put(&admin, "/v1/admin/sources/away", &body).await.expect(200);
    failed("can't be reached").await;
}
