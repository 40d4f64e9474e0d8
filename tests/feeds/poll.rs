//! Polling.

use serde_json::Value;

use crate::harness::Service;
use crate::mock::Mock;

fn feed(mock: &Mock, more: &str) -> String {
    let url = &mock.base;
    format!("mode = 'poll'\nurl = '{url}'\ntypes = ['Patient', 'Condition']\nevery_s = 1\npage_size = 7\n{more}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_equals_the_source_whatever_goes_wrong() {
    for seed in [1, 2, 3] {
        let mock = Mock::start(seed);
        mock.change(120, 40);
        let mut service = Service::start(&feed(&mock, "")).await;
        for round in 0..6 {
            mock.change(25, 40);
            if round % 3 == 1 {
                service.restart().await;
            } else {
                service.another_good_run().await;
            }
        }
        service.until_held(&mock.live()).await;
        service.another_good_run().await;
        service.another_good_run().await;
        assert_eq!(service.held().await, mock.live(), "seed {seed}");
        service.has_an_empty_quarantine().await;
        service.stop().await;
        mock.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_does_not_land_again() {
    let mock = Mock::start(4);
    mock.side().is_chaotic = false;
    mock.change(30, 20);
    let service = Service::start(&feed(&mock, "")).await;
    service.until_held(&mock.live()).await;
    service.another_good_run().await;
    let landed = service.landed().await;
    for _ in 0..3 {
        service.another_good_run().await;
    }
    assert_eq!(service.landed().await, landed);
    let before = mock.asked("search");
    service.another_good_run().await;
    assert!(mock.asked("search") > before);
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_page_is_not_even_sent() {
    let mock = Mock::start(5);
    mock.side().is_chaotic = false;
    mock.change(5, 20);
    let service = Service::start(&feed(&mock, "")).await;
    service.until_held(&mock.live()).await;
    service.until("304 was answered", async || (mock.side().not_modified > 0).then_some(())).await;
    mock.change(5, 20);
    service.until_held(&mock.live()).await;
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_history_deletions_are_not_seen_and_all_else_is() {
    let mock = Mock::start(6);
    mock.side().has_history = false;
    mock.change(60, 10);
    let service = Service::start(&feed(&mock, "")).await;
    service.another_good_run().await;
    mock.change(60, 10);
    service
        .until("every record that is there is held", async || {
            let held = service.held().await;
            mock.live().iter().all(|(key, version)| held.get(key) == Some(version)).then_some(())
        })
        .await;
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_that_is_broken_off_goes_on_at_its_page() {
    let mock = Mock::start(7);
    mock.side().is_chaotic = false;
    mock.change(700, 400);
    let mut service = Service::start(&feed(&mock, "").replace("page_size = 7", "page_size = 3")).await;
    service.until("some pages have landed", async || (service.landed().await > 10).then_some(())).await;
    service.restart().await;
    let state: Value = service.kept("search/Patient").await.unwrap();
    let before = mock.asked("search");
    service.until_held(&mock.live()).await;
    let (live, asked) = (mock.live().len(), mock.asked("search") - before);
    // From the beginning it would have been at least a page for every three records.
    assert!(!state["next"].is_null() || !state["cursor"].is_null(), "{state}");
    assert!(asked < live / 2 + 40, "{asked} searches for {live} records");
    service.stop().await;
    mock.stop().await;
}
