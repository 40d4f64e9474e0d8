//! `GET /v1/admin/findings`.

use serde_json::{Value, json};

use crate::builders::{bundle, note, observation};
use crate::harness::{Server, text};
use crate::tokens::{self, ADMIN, READER};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_lacks_is_listed_by_path_and_page() {
    let server = Server::start().await;
    let mut undated = observation("o1", "p1", "Lackword", 4.0);
    undated["effectiveDateTime"] = json!("not a date");
    let mut homeless = note("n1", "p1", "A note.");
    homeless.as_object_mut().unwrap().remove("id");
    let receipt = server.ingest_fhir(&bundle(&[undated, homeless])).await;
    let admin = tokens::mint(ADMIN);
    let all = server.get(&admin, "/v1/admin/findings").await.expect(200).json();
    let items = all["items"].as_array().unwrap().clone();
    assert_eq!(receipt["account"]["findings"], items.len());
    let has = |rule: &str, path: &str| items.iter().any(|item| item["rule"] == rule && item["path"] == path);
    assert!(has("invalid_date", "Observation.effectiveDateTime"), "{all}");
    assert!(has("missing_id", "DocumentReference.id"), "{all}");
    assert!(!all.to_string().contains("not a date"), "a finding repeats a value");
    let token = tokens::mint(READER);
    for item in &items {
        assert!(["warning", "error"].contains(&text(&item["severity"]).as_str()));
        assert_eq!(item["source"], "ehr");
        server.get(&token, &format!("/v1/documents/{}", text(&item["document"]))).await.expect(200);
    }
    let mut paged: Vec<Value> = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = server.get(&admin, &format!("/v1/admin/findings?limit=1&cursor={cursor}")).await.expect(200).json();
        paged.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
        assert!(paged.len() <= items.len(), "pages repeat");
    }
    assert_eq!(paged, items);
}
