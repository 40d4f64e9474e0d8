//! Asked to stop: in time, with exit code 0, and without loss; and one process at a time on one folder.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::fixtures::{clinic, expected, pieces};
use crate::home::{Home, SOURCE};
use crate::index_lifecycle::filled;
use crate::server::Server;

/// A service manager waits longer than this before it kills.
const IN_TIME: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stop_amid_a_feed_keeps_what_was_acknowledged() {
    let home = Home::new();
    let pieces = pieces(&clinic(40), 3);
    let mut server = Server::start(&home);
    let api = server.api.clone();
    let mut receipts = Vec::new();
    let feeding = async {
        for piece in &pieces {
            match api.send(piece).await {
                Some(receipt) => receipts.push(receipt),
                None => return,
            }
            if receipts.len() == 30 {
                server.ask_to_stop();
            }
        }
    };
    feeding.await;
    let asked = Instant::now();
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() < IN_TIME, "it took {:?}", asked.elapsed());
    let sent = receipts.len();
    let server = Server::start(&home);
    server.api.indexed(&receipts).await;
    for id in expected(&pieces[..sent], SOURCE).keys() {
        assert!(server.api.opens(id).await, "{id} was acknowledged and is gone");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_idles_does_not_hold_the_stop_up() {
    let home = Home::new();
    let mut server = Server::start(&home);
    let address = server.api.url.trim_start_matches("http://").to_owned();
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let asked = Instant::now();
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() < IN_TIME, "it took {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_stop_amid_a_reindex_leaves_the_job_to_the_next_start() {
    let home = Home::new();
    filled(&home, &pieces(&clinic(60), 25)).await;
    let mut server = Server::start(&home);
    let job = server.api.reindex().await;
    while server.api.job_state(&job).await == "queued" {}
    let asked = Instant::now();
    server.ask_to_stop();
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() < IN_TIME, "it took {:?}", asked.elapsed());
    let server = Server::start(&home);
    server.api.job_done(&job).await;
    server.stop().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_refuses_plainly() {
    let home = Home::new();
    let server = Server::start(&home);
    let generation = home.generation();
    home.run(&["serve"]).failed_plainly(&["in use by another process"]);
    let file = home.path().join("one.json");
    std::fs::write(&file, "{}").unwrap();
    home.run(&["ingest", file.to_str().unwrap()]).failed_plainly(&["a server has this index open"]);
    // Another model means another generation: it must not be begun beside a running server either.
    let manifest = std::fs::read_to_string(home.path().join("model.toml")).unwrap();
    std::fs::write(home.path().join("other.toml"), manifest.replace("pooling = \"mean\"", "pooling = \"cls\""))
        .unwrap();
    let mut other = home.command(&["serve"]);
    other.env("ANAMNESIS_MODEL_MANIFEST", home.path().join("other.toml"));
    crate::home::ended(other).failed_plainly(&["in use by another process"]);
    assert_eq!(home.generation(), generation);
    server.stop().await;
    let again = Server::start(&home);
    again.stop().await;
}
