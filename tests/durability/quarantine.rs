//! A folder of what feeds really hold: the account says what became of each file and record.

use std::fs;

use serde_json::json;

use crate::home::{Home, SOURCE};
use crate::server::Server;

#[tokio::test]
async fn a_folder_of_broken_files_is_accounted_for_to_the_last() {
    let home = Home::new();
    let folder = home.path().join("files");
    fs::create_dir(&folder).unwrap();
    let patient = r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Quillfeather"}]}"#;
    let observation = r#"{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"},"code":{"text":"Body weight"},"valueQuantity":{"value":61,"unit":"kg"}}"#;
    let files: [(&str, Vec<u8>); 11] = [
        ("broken.json", br#"{"resourceType": "Patient", "id": "#.to_vec()),
        ("truncated.ndjson", format!("{patient}\n{observation}\n{{\"resourceType\":\"Cond").into_bytes()),
        ("empty.json", Vec::new()),
        ("empty.txt", Vec::new()),
        ("scan.dcm", b"DICM".to_vec()),
        ("no-extension", b"anything".to_vec()),
        ("blank.txt", b" \n\n ".to_vec()),
        ("not-fhir.json", br#"{"hello": "world"}"#.to_vec()),
        ("unknown.json", br#"{"resourceType": "Pateint", "id": "1"}"#.to_vec()),
        ("bytes.json", b"{\"resourceType\": \"Patient\", \"id\": \"\xff\xfe\"}".to_vec()),
        ("note.md", b"# Visit\n\nThe patient Quillfeather walks well.".to_vec()),
    ];
    for (name, bytes) in &files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let mut account = home.ingest(&folder, &["--source", SOURCE]);
    let account = account.as_object_mut().unwrap();
    for measured in ["seconds", "read_seconds", "findings", "facts"] {
        assert!(account.remove(measured).is_some(), "{measured} is missing");
    }
    assert_eq!(
        json!(account),
        json!({
            "files": 9, "empty_files": 2, "ignored_files": { "": 1, "dcm": 1 },
            "records": 9, "documents": 3, "added": 3, "changed": 0, "stored": 3, "unchanged": 0, "stale": 0, "removed": 0, "carrying_nothing": {},
            "quarantined": {
                "malformed_json": 2, "invalid_utf8": 1, "not_fhir": 1, "unknown_resource": 1, "empty_note": 1
            },
            "lost": 0
        })
    );
    each_is_held_with_its_bytes(&home, &files).await;
}

/// What was quarantined can be listed with its reason and place, and given back byte for byte.
async fn each_is_held_with_its_bytes(home: &Home, files: &[(&str, Vec<u8>)]) {
    let server = Server::start(home);
    let (status, listed) = server.api.get("/v1/admin/quarantine").await;
    assert_eq!(status, 200, "{listed}");
    assert!(!listed.to_string().contains("Quillfeather"), "what is listed names no patient");
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 6, "{listed}");
    for item in items {
        let size = item["bytes"].as_u64().unwrap();
        let whole = files.iter().any(|(_, bytes)| bytes.len() as u64 == size);
        let last_line = item["reason"] == "malformed_json" && item["detail"].as_str().unwrap().starts_with("line 3");
        assert!(whole || last_line, "neither a whole file nor the cut line: {item}");
        assert_eq!(item["state"], "held");
    }
    server.stop().await;
}
