//! Many writers and readers at once: nothing lost, nothing twice, no errors.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Server, TEXT, text};
use crate::tokens::{self, READER, SENDER};

const WRITERS: usize = 8;
const NOTES: usize = 5;
const READERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_readers_do_not_disturb_each_other() {
    let server = Server::start().await;
    let finished = AtomicBool::new(false);
    let writing = async {
        join_all((0..WRITERS).map(|writer| write(&server, writer))).await;
        finished.store(true, Ordering::Release);
    };
    let reading = join_all((0..READERS).map(|reader| read_until(&server, &finished, reader)));
    let ((), reads) = tokio::join!(writing, reading);
    assert!(reads.iter().all(|reads| *reads > 0), "a reader never read: {reads:?}");
    let all = server.found("commonword").await;
    assert_eq!(all.len(), WRITERS * NOTES);
    for writer in 0..WRITERS {
        for number in 0..NOTES {
            assert_eq!(server.found(&format!("word{writer}x{number}")).await.len(), 1);
        }
    }
}

async fn write(server: &Server, writer: usize) {
    let sender = tokens::mint(SENDER);
    let mut receipts = Vec::new();
    for number in 0..NOTES {
        let note =
            format!("---\nid: note-{writer}-{number}\npatient: p{writer}\n---\ncommonword word{writer}x{number}\n");
        let sent = server.send(&sender, "ehr", TEXT, note).await.expect(202).json();
        receipts.push(text(&sent["receipt"]));
    }
    for receipt in receipts {
        let receipt = server.wait_for(&sender, &receipt, "indexed").await;
        assert_eq!(receipt["account"]["stored"], 1);
    }
}

/// Searches until told to stop; no document shows twice in one reply.
async fn read_until(server: &Server, finished: &AtomicBool, reader: usize) -> usize {
    let token = tokens::mint(READER);
    let mode = ["hybrid", "keyword", "dense"][reader % 3];
    let mut reads = 0;
    while !finished.load(Ordering::Acquire) {
        let hits = server.search(&token, &json!({"query": "commonword", "mode": mode, "limit": 100})).await;
        let mut places: Vec<_> = hits.iter().map(|hit| (text(&hit["document"]), hit["chunk"].as_u64())).collect();
        places.sort();
        let shown = places.len();
        places.dedup();
        assert_eq!(places.len(), shown, "a chunk shows twice");
        reads += 1;
    }
    reads
}
