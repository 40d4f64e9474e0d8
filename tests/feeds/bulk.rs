//! Bulk export.

use serde_json::Value;

use crate::harness::Service;
use crate::mock::Mock;

fn feed(mock: &Mock, every_s: u64) -> String {
    format!("mode = 'bulk'\nurl = '{}'\nevery_s = {every_s}\n", mock.base)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_equals_the_source_whatever_goes_wrong() {
    for seed in [11, 12, 13] {
        let mock = Mock::start(seed);
        mock.side().exports.waits = 2;
        mock.side().exports.packs = seed == 12;
        mock.change(200, 60);
        let mut service = Service::start(&feed(&mock, 1)).await;
        for round in 0..4 {
            mock.change(40, 60);
            if round % 2 == 1 {
                service.restart().await;
            } else {
                service.another_good_run().await;
            }
        }
        service.until_held(&mock.live()).await;
        service.another_good_run().await;
        assert_eq!(service.held().await, mock.live(), "seed {seed}");
        service.has_an_empty_quarantine().await;
        let discarded = mock.side().exports.discarded.len();
        assert!(discarded > 0, "finished exports are deleted");
        service.stop().await;
        mock.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_lost_midway_is_begun_again_and_what_was_deleted_meanwhile_is_gone() {
    let mock = Mock::start(14);
    mock.side().is_chaotic = false;
    mock.change(150, 60);
    mock.side().exports.lost_after = Some(1);
    let service = Service::start(&feed(&mock, 3_600)).await;
    service.until("one file was handed out", async || (mock.asked("file") >= 1).then_some(())).await;
    mock.change(150, 60);
    service.until_held(&mock.live()).await;
    let begun: Vec<bool> = mock.side().exports.begun.iter().map(|export| export.since.is_some()).collect();
    assert_eq!(begun, [false, false, true]);
    service.has_an_empty_quarantine().await;
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_export_begins_where_the_last_one_ended() {
    let mock = Mock::start(15);
    mock.side().is_chaotic = false;
    mock.change(50, 20);
    let service = Service::start(&feed(&mock, 1)).await;
    service.until_held(&mock.live()).await;
    service.another_good_run().await;
    let state: Value = service.kept("export").await.unwrap();
    let since: jiff::Timestamp = state["since"].as_str().unwrap().parse().unwrap();
    let asked = mock.side().exports.begun.iter().map(|export| export.since).max().unwrap();
    assert!(asked.is_some() && asked <= Some(since));
    assert_eq!(mock.side().exports.begun[0].since, None);
    service.stop().await;
    mock.stop().await;
}
