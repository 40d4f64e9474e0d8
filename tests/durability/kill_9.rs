//! Killed at any moment: what was acknowledged is there, once, and can be found.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anamnesis::domain::{DocumentId, SourceId};

use crate::fixtures::{Expected, Piece, Random, clinic, expected, key_of, pieces, synthea, write_files};
use crate::home::{Home, Remains, SOURCE};
use crate::server::{Api, Server, Starting};

const KILLS: usize = 20;
const SAMPLE: usize = 100;

#[tokio::test]
async fn a_generated_feed_outlives_twenty_kills() {
    survive(&pieces(&clinic(60), 3)).await;
}

#[tokio::test]
async fn the_synthea_feed_outlives_twenty_kills() {
    let Some(resources) = synthea() else { return };
    assert_eq!(resources.len(), 1367);
    let pieces = pieces(&resources, 6);
    let held = expected(&pieces, SOURCE);
    for resource in &resources {
        let carries_nothing = ["Organization", "Practitioner"].contains(&resource["resourceType"].as_str().unwrap());
        let id = DocumentId::derive(&SourceId::new(SOURCE), &key_of(resource));
        assert!(carries_nothing || held.contains_key(&id), "{} would not be held", key_of(resource));
    }
    survive(&pieces).await;
}

#[tokio::test]
async fn what_was_read_before_a_kill_is_on_record() {
    let home = Home::new();
    let (mut read, mut random) = (0, Random::seeded());
    for _ in 0..5 {
        let server = Server::start(&home);
        for _ in 0..random.within(1..30) {
            assert_eq!(server.api.get("/v1/whoami").await.0, 200);
            read += 1;
        }
        server.kill();
    }
    let verified = home.run(&["audit", "verify"]).succeeded();
    assert!(verified.stdout.starts_with(&format!("{read} rows,")), "{}, not {read}", verified.stdout);
}

#[tokio::test]
async fn a_killed_ingest_command_is_run_again_and_loses_nothing() {
    let (home, mut random) = (Home::new(), Random::seeded());
    let pieces = pieces(&clinic(40), 4);
    let expected = expected(&pieces, SOURCE);
    let folder = home.path().join("files");
    write_files(&pieces, &folder);
    let arguments = ["ingest", folder.to_str().unwrap(), "--source", SOURCE];
    let mut broken_off = 0;
    for _ in 0..6 {
        let mut child = home.command(&arguments).spawn().unwrap();
        let moment = Duration::from_millis(random.within(100..700));
        tokio::time::sleep(moment).await;
        broken_off += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    eprintln!("{broken_off} of 6 commands were broken off");
    assert!(broken_off > 0, "no kill came in time");
    let account = home.ingest(&folder, &["--source", SOURCE]);
    assert_eq!(account["lost"], 0);
    assert_eq!(account["records"], 400);
    everything_is_held_once(&home.remains().await, &expected);
    let server = Server::start(&home);
    server.api.caught_up().await;
    everything_is_found(&server.api, &expected).await;
    server.stop().await;
}

/// A sender that keeps what it hasn't been told was taken.
struct Sender<'a> {
    pieces: &'a [Piece],
    waiting: VecDeque<usize>,
    receipts: Vec<String>,
}

impl<'a> Sender<'a> {
    fn new(pieces: &'a [Piece]) -> Self {
        Self { pieces, waiting: (0..pieces.len()).collect(), receipts: Vec::new() }
    }

    /// Sends until the server is gone; what is through comes again, as from a sender that isn't sure.
    async fn feed(&mut self, api: &Api) {
        let mut again = 0;
        loop {
            let next = self.waiting.front().copied().unwrap_or_else(|| {
                again += 1;
                again % self.pieces.len()
            });
            let Some(receipt) = api.send(&self.pieces[next]).await else { return };
            self.receipts.push(receipt);
            self.waiting.pop_front();
        }
    }
}

/// What the kills met, so that nobody has to believe that they met anything.
#[derive(Debug, Default)]
struct Struck {
    while_starting: usize,
    with_deliveries_unread: usize,
    with_changes_not_indexed: usize,
    with_sends_not_acknowledged: usize,
}

impl Struck {
    fn note(&mut self, remains: &Remains, unacknowledged: bool) {
        self.with_deliveries_unread += usize::from(remains.unread > 0);
        self.with_changes_not_indexed += usize::from(remains.watermark < remains.newest_change);
        self.with_sends_not_acknowledged += usize::from(unacknowledged);
    }
}

async fn survive(pieces: &[Piece]) {
    let (home, mut random) = (Home::new(), Random::seeded());
    let expected = expected(pieces, SOURCE);
    let (mut sender, mut struck) = (Sender::new(pieces), Struck::default());
    for kill in 0..KILLS {
        if kill % 5 == 4 {
            struck.while_starting += usize::from(!Starting::begin(&home).kill_after(moment(&mut random, 5..250)));
            continue;
        }
        let server = Server::start(&home);
        nothing_is_half_there(&server.api, &sender, &expected, &mut random).await;
        // A third of the kills come early, when all that there is still happens at once.
        let window = if kill % 3 == 0 { 50..300 } else { 50..1500 };
        let api = server.api.clone();
        let is_broken_off = tokio::time::timeout(moment(&mut random, window), sender.feed(&api)).await.is_err();
        let log = server.kill();
        assert!(!log.contains("Quillfeather"), "the log names a patient:\n{log}");
        struck.note(&home.remains().await, is_broken_off);
    }
    eprintln!("{KILLS} kills: {struck:?}, {} acknowledged", sender.receipts.len());
    assert!(struck.with_deliveries_unread + struck.with_changes_not_indexed >= 5, "the kills met nothing: {struck:?}");
    finish(&home, &mut sender, &expected).await;
}

fn moment(random: &mut Random, milliseconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.within(milliseconds))
}

/// After a restart, before anything more is sent: what is found opens, and what was acknowledged is known.
async fn nothing_is_half_there(
    api: &Api,
    sender: &Sender<'_>,
    expected: &BTreeMap<DocumentId, Expected>,
    random: &mut Random,
) {
    for receipt in sender.receipts.iter().rev().take(10) {
        let (status, body) = api.get(&format!("/v1/receipts/{receipt}")).await;
        assert_eq!(status, 200, "an acknowledged delivery is gone: {body}");
    }
    for _ in 0..5 {
        let wanted = expected.values().nth(random.within(0..expected.len() as u64) as usize).unwrap();
        let patient = wanted.patient.as_ref().map(|patient| patient.as_str());
        for (document, ..) in api.search(&wanted.words, patient).await.into_iter().take(5) {
            assert!(api.opens(&DocumentId::new(document)).await, "a hit doesn't open");
        }
    }
}

/// Sends the rest, waits for all of it, and looks at everything.
async fn finish(home: &Home, sender: &mut Sender<'_>, expected: &BTreeMap<DocumentId, Expected>) {
    let server = Server::start(home);
    let api = &server.api;
    while let Some(next) = sender.waiting.pop_front() {
        sender.receipts.push(api.send(&sender.pieces[next]).await.expect("the server stays"));
    }
    api.indexed(&sender.receipts).await;
    everything_is_found(api, expected).await;
    let chunks = api.metric("index_chunks").await;
    let job = api.reindex().await;
    api.job_done(&job).await;
    assert_eq!(api.metric("index_chunks").await, chunks, "the index holds what a new one of the same store holds");
    let log = server.stop().await;
    assert!(!log.contains("panicked"), "{log}");
    everything_is_held_once(&home.remains().await, expected);
}

async fn everything_is_found(api: &Api, expected: &BTreeMap<DocumentId, Expected>) {
    for id in expected.keys() {
        assert!(api.opens(id).await, "{id} can't be read in its first version");
    }
    let stride = expected.len().div_ceil(SAMPLE);
    for (id, wanted) in expected.iter().step_by(stride) {
        let patient = wanted.patient.as_ref().map(|patient| patient.as_str());
        let hits = api.search(&wanted.words, patient).await;
        assert!(hits.iter().any(|(document, ..)| document == id.as_str()), "{id} is not found by its own words");
    }
}

fn everything_is_held_once(remains: &Remains, expected: &BTreeMap<DocumentId, Expected>) {
    let count = expected.len() as i64;
    let wanted = Remains {
        documents: count,
        versions: count,
        changes: count,
        newest_change: count,
        unread: 0,
        held: 0,
        jobs_under_way: 0,
        watermark: count,
    };
    assert_eq!(*remains, wanted);
}
