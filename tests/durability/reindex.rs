//! Reindexing: by command with and without a server, and killed while it is under way.

use crate::fixtures::{Expected, Piece, clinic, expected, pieces};
use crate::home::{Home, SOURCE};
use crate::index_lifecycle::{answers, filled};
use crate::server::Server;

fn fixture(patients: usize) -> (Vec<Piece>, Vec<Expected>) {
    let pieces = pieces(&clinic(patients), 25);
    let wanted = expected(&pieces, SOURCE).into_values().collect();
    (pieces, wanted)
}

#[tokio::test]
async fn a_job_that_was_killed_ends_after_the_restart() {
    let home = Home::new();
    let (pieces, wanted) = fixture(60);
    filled(&home, &pieces).await;
    let mut server = Server::start(&home);
    let before = answers(&server.api, &wanted).await;
    let (mut under_way, mut left_behind) = (0, 0);
    for _ in 0..8 {
        let job = server.api.reindex().await;
        while server.api.job_state(&job).await == "queued" {}
        server.kill();
        under_way += home.remains().await.jobs_under_way;
        let half_built = home.generations().into_iter().filter(|folder| *folder > home.generation());
        let half_built: Vec<_> = half_built.collect();
        left_behind += half_built.len();
        server = Server::start(&home);
        assert!(half_built.iter().all(|folder| !folder.exists()), "what was half-built stays: {half_built:?}");
        assert_eq!(answers(&server.api, &wanted).await, before, "the index answers otherwise after the kill");
        server.api.job_done(&job).await;
        assert_eq!(answers(&server.api, &wanted).await, before, "the index answers otherwise after the job");
        assert_eq!(home.generations().len(), 2, "the one in service and the one before");
    }
    eprintln!("{under_way} of 8 kills met the job under way, {left_behind} left a generation half-built");
    assert!(under_way > 0 && left_behind > 0, "no kill met the job under way");
    assert_eq!(server.api.metric("passages_embedded_total").await, 0, "nothing had to be embedded again");
    server.stop().await;
}

#[tokio::test]
async fn the_command_runs_the_job_itself_when_no_server_does() {
    let home = Home::new();
    let (pieces, _) = fixture(6);
    filled(&home, &pieces).await;
    let before = home.generation();
    let ran = home.run(&["reindex"]).succeeded();
    assert_eq!(ran.stdout, "reindexed 60 documents\n");
    assert_ne!(home.generation(), before);
    let ran = home.run(&["reindex", "--patient", "clinic-003"]).succeeded();
    assert_eq!(ran.stdout, "reindexed 10 documents\n");
    let ran = home.run(&["reindex", "--patient", "nobody"]).succeeded();
    assert_eq!(ran.stdout, "reindexed 0 documents\n");
    assert_eq!(home.remains().await.jobs_under_way, 0);
}

#[tokio::test]
async fn the_command_follows_the_server_that_runs_the_job() {
    let home = Home::new();
    let (pieces, wanted) = fixture(6);
    filled(&home, &pieces).await;
    let server = Server::start(&home);
    let (before, hits) = (server.api.generation().await, answers(&server.api, &wanted).await);
    let command = home.command(&["reindex"]);
    let ran = tokio::task::spawn_blocking(move || crate::home::ended(command)).await.unwrap().succeeded();
    assert_eq!(ran.stdout, "reindexed 60 documents\n");
    assert_ne!(server.api.generation().await, before, "the server put another generation in service");
    assert_eq!(answers(&server.api, &wanted).await, hits);
    server.stop().await;
}
