//! What an operator types, and what the binary says when it can't.

use serde_json::Value;

use crate::home::{Home, SOURCE, ended};
use crate::server::Server;

#[tokio::test]
async fn a_minted_token_opens_what_its_scopes_say() {
    let home = Home::new();
    let token = home.run(&["token", "--scopes", "user/*.rs", "--subject", "dr-quill"]).succeeded().stdout;
    assert_eq!(token.trim().split('.').count(), 3, "a compact signed token");
    let server = Server::start(&home);
    assert_eq!(status(&server, "/v1/whoami", Some(token.trim())).await, 200);
    assert_eq!(status(&server, "/v1/admin/jobs", Some(token.trim())).await, 403);
    assert_eq!(status(&server, "/v1/whoami", None).await, 401);
    assert_eq!(status(&server, "/v1/whoami", Some("not.a.token")).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn without_an_issuer_every_token_is_refused() {
    let home = Home::new();
    let token = home.token();
    std::fs::write(home.config_path(), format!("data_dir = \"data\"\n[[source]]\nname = \"{SOURCE}\"\n")).unwrap();
    let server = Server::start(&home);
    for token in [Some(token.as_str()), Some("e30.e30."), None] {
        assert_eq!(status(&server, "/v1/whoami", token).await, 401);
        assert_eq!(status(&server, "/v1/freshness", token).await, 401);
    }
    assert_eq!(status(&server, "/health/live", None).await, 200);
    server.stop().await;
}

async fn status(server: &Server, path: &str, token: Option<&str>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(format!("{}{path}", server.api.url));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().status().as_u16()
}

#[test]
fn a_token_without_a_development_key_is_refused_with_the_reason() {
    let home = Home::new();
    std::fs::write(home.config_path(), "data_dir = \"data\"\n").unwrap();
    home.run(&["token", "--scopes", "user/*.rs"]).failed_plainly(&["no development key is configured"]);
    std::fs::write(home.config_path(), "development_key_file = \"absent.key\"\n").unwrap();
    home.run(&["token", "--scopes", "user/*.rs"]).failed_plainly(&["development key file can't be read"]);
    std::fs::write(home.path().join("absent.key"), "short").unwrap();
    home.run(&["token", "--scopes", "user/*.rs"]).failed_plainly(&["32 bytes"]);
}

#[test]
fn the_openapi_document_is_of_version_3_1_and_holds_every_route() {
    let document: Value = serde_json::from_str(&Home::new().run(&["openapi"]).succeeded().stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    for path in ["/v1/search", "/v1/answer", "/v1/sources/{source}/records", "/v1/receipts/{id}", "/v1/admin/reindex"] {
        assert!(document["paths"].get(path).is_some(), "{path} is missing");
    }
}

#[test]
fn the_models_are_listed_with_whether_they_are_here() {
    let home = Home::new();
    assert_eq!(home.run(&["models", "list"]).succeeded().stdout, "tiny 1 (32 dimensions): here\n");
    std::fs::remove_file(home.path().join("models/tiny/1/config.json")).unwrap();
    assert_eq!(home.run(&["models", "list"]).succeeded().stdout, "tiny 1 (32 dimensions): not here yet\n");
    home.run(&["serve"]).failed_plainly(&["the model tiny can't be had"]);
}

#[test]
fn a_configuration_that_is_not_understood_is_refused_with_its_place() {
    let home = Home::new();
    home.configure("listn = \"127.0.0.1:1\"");
    home.run(&["serve"]).failed_plainly(&["anamnesis.toml", "listn"]);
    home.configure("[[source]]\nname = \"Not A Name\"");
    home.run(&["serve"]).failed_plainly(&["Not A Name", "lower-case"]);
    std::fs::remove_file(home.config_path()).unwrap();
    home.run(&["serve"]).failed_plainly(&["anamnesis.toml", "can't be read"]);
    let mut command = home.command(&["openapi"]);
    command.env_remove("ANAMNESIS_CONFIG").env("ANAMNESIS_LISTEN", "nowhere");
    ended(command).failed_plainly(&["ANAMNESIS_LISTEN"]);
}

#[test]
fn a_command_that_is_not_understood_has_an_exit_code_of_its_own() {
    let home = Home::new();
    assert_eq!(home.run(&["ingset"]).code, Some(2));
    assert_eq!(home.run(&["ingest"]).code, Some(2));
    assert_eq!(home.run(&["reindex", "--source", "a", "--patient", "b"]).code, Some(2));
}

#[test]
fn an_ingest_of_what_is_not_there_is_refused_with_its_name() {
    let home = Home::new();
    let absent = home.path().join("absent-folder");
    home.run(&["ingest", absent.to_str().unwrap()]).failed_plainly(&["absent-folder", "No such file"]);
    let folder = home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&absent, folder.join("dangling.json")).unwrap();
    home.run(&["ingest", folder.to_str().unwrap()]).failed_plainly(&["dangling.json", "No such file"]);
    let file = home.path().join("one.json");
    std::fs::write(&file, "{}").unwrap();
    home.run(&["ingest", file.to_str().unwrap(), "--source", "No Name"]).failed_plainly(&["lower-case"]);
}
