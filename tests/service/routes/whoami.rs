//! `GET /v1/whoami`.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::tokens::{self, ADMIN, READER, SENDER};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_learns_what_it_opens() {
    let server = Server::start().await;
    let ask = async |token: String| server.get(&token, "/v1/whoami").await.expect(200).json();
    let user = ask(tokens::mint(READER)).await;
    let plain = json!({
        "caller": "dr-grey", "tenant": "north", "purpose": null, "patient": null, "operations": [],
        "ingest_types": [], "can_list_patients": true, "deidentified": false,
    });
    assert_eq!(user, plain);
    let launch = ask(tokens::for_patient("p1", "patient/*.rs")).await;
    assert_eq!((&launch["patient"], &launch["can_list_patients"]), (&json!("p1"), &json!(true)));
    let admin = ask(tokens::mint(ADMIN)).await;
    assert_eq!(admin["operations"], json!(["reindex", "quarantine", "sources", "quality", "access", "audit", "erase"]));
    assert_eq!(admin["can_list_patients"], false);
    let sender = ask(tokens::mint(SENDER)).await;
    assert_eq!((&sender["operations"], &sender["ingest_types"]), (&json!(["ingest"]), &json!(["*"])));
    let narrow = ask(tokens::mint("system/Observation.c system/Condition.cu")).await;
    assert_eq!(narrow["ingest_types"], json!(["Condition", "Observation"]));
    assert_eq!(ask(tokens::mint("user/Observation.rs")).await["can_list_patients"], false);
    assert_eq!(ask(tokens::mint_in("south", READER)).await["tenant"], "south");
    let purpose = Some("TREAT".to_owned());
    let purposeful = tokens::sign(&anamnesis::access::TokenGrant { purpose, ..tokens::grant("north", READER) });
    assert_eq!(ask(purposeful).await["purpose"], "TREAT");
    let nothing: Value = ask(tokens::mint("")).await;
    assert_eq!((&nothing["operations"], &nothing["can_list_patients"]), (&json!([]), &json!(false)));
}
