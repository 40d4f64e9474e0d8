//! Files that appear in a folder are taken once each, whole, and whatever their form.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::Server;
use crate::stored::{feed_runs, landed_unread, latest_documents};

async fn watching(folder: &Path) -> Server {
    let folder = folder.to_owned();
    Server::with(move |config| {
        let feed = format!("mode = \"files\"\nurl = \"file://{}\"\nevery_s = 1\nsettle_s = 0", folder.display());
        config.sources[0].feed = Some(toml::from_str(&feed).unwrap());
        config.file_roots = vec![folder];
    })
    .await
}

fn patient(id: usize) -> String {
    json!({"resourceType": "Patient", "id": format!("f{id}"), "name": [{"family": "Meadow"}]}).to_string()
}

async fn has(server: &Server, documents: usize) {
    server
        .until(&format!("{documents} documents are there"), async || {
            let read = landed_unread(server).await == 0;
            (read && latest_documents(server).await.len() == documents).then_some(())
        })
        .await;
}

#[tokio::test]
async fn files_of_every_form_are_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = watching(folder.path()).await;
    let lines: Vec<String> = (0..20).map(patient).collect();
    fs::create_dir(folder.path().join("ehr")).unwrap();
    fs::write(folder.path().join("ehr/patients.ndjson"), lines.join("\n")).unwrap();
    fs::write(folder.path().join("note.md"), "---\nid: n1\npatient: f1\n---\nSlept well.").unwrap();
    fs::write(folder.path().join("page.html"), "<h1>Visit</h1><p>Walks again.</p>").unwrap();
    fs::write(folder.path().join("late.ndjson.part"), patient(99)).unwrap();
    fs::write(folder.path().join("picture.bin"), [0_u8, 159, 146, 150]).unwrap();
    has(&server, 22).await;
    // The folder may have been looked at before its last file was there.
    let held = server.until("one is held", async || server.quarantine().await.pop()).await;
    assert_eq!(held["reason"], "unsupported_message");
    fs::rename(folder.path().join("late.ndjson.part"), folder.path().join("late.ndjson")).unwrap();
    has(&server, 23).await;
    assert_eq!(server.quarantine().await.len(), 1, "nothing is taken twice");
}

#[tokio::test]
async fn a_file_that_grew_is_taken_again_and_changes_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let server = watching(folder.path()).await;
    let file = folder.path().join("patients.ndjson");
    fs::write(&file, patient(1)).unwrap();
    has(&server, 1).await;
    fs::write(&file, [patient(1), patient(2)].join("\n")).unwrap();
    has(&server, 2).await;
    assert!(latest_documents(&server).await.iter().all(|document| document.version == 1));
}

#[tokio::test]
async fn a_folder_outside_of_the_roots_is_not_read() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(elsewhere.path().join("patients.ndjson"), patient(1)).unwrap();
    let (root, outside) = (folder.path().to_owned(), elsewhere.path().to_owned());
    let server = Server::with(move |config| {
        let feed = format!("mode = \"files\"\nurl = \"file://{}\"\nevery_s = 1\nsettle_s = 0", outside.display());
        config.sources[0].feed = Some(toml::from_str(&feed).unwrap());
        config.file_roots = vec![root];
    })
    .await;
    let failed = server
        .until("the feed has failed", async || {
            let runs = feed_runs(&server).await;
            runs.into_iter().find_map(|run| run.error)
        })
        .await;
    assert!(failed.contains("outside"), "{failed}");
    assert!(latest_documents(&server).await.is_empty());
}
