//! Rotation, withdrawal, failure and floods, against an endpoint that counts and a clock that stands still.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::test_keys::{Endpoint, StillClock, TestKey};
use super::{
    DEFAULT_LIFETIME, FetchedJwks, GRACE, INTERVAL, INTERVAL_WITHOUT_KEYS, KeyCache, KeyFault, Location,
    SigningAlgorithm, UNAVAILABLE,
};

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    endpoint: Arc<Endpoint>,
    clock: StillClock,
    cache: Arc<KeyCache>,
}

impl Scene {
    /// An issuer that serves one RSA key, `old`.
    fn new() -> Self {
        let endpoint = Endpoint::serving(&[TestKey::Rsa.jwk("old")]);
        let clock = StillClock::new();
        let location = Location::Url("https://issuer.example/jwks".to_owned());
        let cache = KeyCache::new("https://issuer.example".to_owned(), location, endpoint.clone(), clock.reader());
        Self { endpoint, clock, cache }
    }

    async fn ask(&self, id: &str) -> Result<(), KeyFault> {
        self.cache.key(SigningAlgorithm::Rs256, Some(id)).await.map(|_| ())
    }
}

#[tokio::test]
async fn a_set_is_fetched_once_for_its_lifetime() {
    let scene = Scene::new();
    for _ in 0..5 {
        assert_eq!(scene.ask("old").await, Ok(()));
        scene.clock.advance(DEFAULT_LIFETIME / 6);
    }
    assert_eq!(scene.endpoint.asked(), 1);
    scene.clock.advance(DEFAULT_LIFETIME / 6);
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test]
async fn callers_at_once_share_one_fetch() {
    let scene = Scene::new();
    let answers = join_all((0..50).map(|_| scene.ask("old"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scene.endpoint.asked(), 1);
}

#[tokio::test]
async fn while_one_caller_fetches_the_next_set_others_use_the_old() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.clock.advance(DEFAULT_LIFETIME);
    let mut fetching = Box::pin(scene.ask("old"));
    assert!(futures_util::poll!(&mut fetching).is_pending());
    assert_eq!(futures_util::poll!(Box::pin(scene.ask("old"))), Poll::Ready(Ok(())));
    assert_eq!(fetching.await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test]
async fn a_flood_of_made_up_key_ids_fetches_once_a_minute() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.clock.advance(INTERVAL);
    let ids: Vec<String> = (0..100).map(|number| format!("made-up-{number}")).collect();
    let answers = join_all(ids.iter().map(|id| scene.ask(id))).await;
    assert!(answers.iter().all(|answer| *answer == Err(KeyFault::Unknown)));
    assert_eq!(scene.endpoint.asked(), 2);

    scene.clock.advance(INTERVAL - SECOND);
    assert_eq!(scene.ask("made-up").await, Err(KeyFault::Unknown));
    assert_eq!(scene.endpoint.asked(), 2);
    scene.clock.advance(SECOND);
    assert_eq!(scene.ask("made-up").await, Err(KeyFault::Unknown));
    assert_eq!(scene.endpoint.asked(), 3);
}

#[tokio::test]
async fn a_key_published_later_is_found_by_its_id() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.clock.advance(INTERVAL);
    scene.endpoint.serve(&[TestKey::Rsa.jwk("old"), TestKey::OtherRsa.jwk("new")]);
    assert_eq!(scene.ask("new").await, Ok(()));
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_gone_at_the_next_refresh() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.endpoint.serve(&[TestKey::OtherRsa.jwk("new")]);
    scene.clock.advance(DEFAULT_LIFETIME);
    assert_eq!(scene.ask("old").await, Err(KeyFault::Unknown));
    assert_eq!(scene.ask("new").await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_withdraws_every_key_verifies_nothing() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.endpoint.serve(&[]);
    scene.clock.advance(DEFAULT_LIFETIME);
    assert_eq!(scene.ask("old").await, Err(KeyFault::Unknown));
}

#[tokio::test]
async fn the_last_good_set_serves_a_day_beyond_its_lifetime_and_no_longer() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.endpoint.fail();
    scene.clock.advance(DEFAULT_LIFETIME + GRACE - SECOND);
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
    assert!(scene.cache.is_ready());
    scene.clock.advance(SECOND);
    assert_eq!(scene.ask("old").await, Err(UNAVAILABLE));
    assert!(!scene.cache.is_ready());

    scene.endpoint.serve(&[TestKey::Rsa.jwk("old")]);
    scene.clock.advance(INTERVAL);
    assert_eq!(scene.ask("old").await, Ok(()));
}

#[tokio::test]
async fn a_failing_endpoint_is_asked_once_an_interval() {
    let scene = Scene::new();
    scene.endpoint.fail();
    let answers = join_all((0..20).map(|_| scene.ask("old"))).await;
    assert!(answers.iter().all(|answer| *answer == Err(UNAVAILABLE)));
    assert_eq!(scene.endpoint.asked(), 1);
    scene.clock.advance(INTERVAL_WITHOUT_KEYS);
    scene.endpoint.serve(&[TestKey::Rsa.jwk("old")]);
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test]
async fn a_page_that_is_no_key_set_does_not_replace_one() {
    let scene = Scene::new();
    assert_eq!(scene.ask("old").await, Ok(()));
    scene.endpoint.answer_with(Ok(FetchedJwks { bytes: b"<html>maintenance</html>".to_vec(), max_age: None }));
    scene.clock.advance(DEFAULT_LIFETIME);
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 2);
}

#[tokio::test]
async fn a_stated_age_is_kept_within_bounds() {
    for (stated_s, kept_s) in [(0, 300), (7200, 7200), (10_000_000, 24 * 3600)] {
        let scene = Scene::new();
        let bytes = super::super::test_keys::jwks(&[TestKey::Rsa.jwk("old")]);
        scene.endpoint.answer_with(Ok(FetchedJwks { bytes, max_age: Some(SECOND * stated_s) }));
        assert_eq!(scene.ask("old").await, Ok(()));
        scene.clock.advance(SECOND * (kept_s - 1));
        assert_eq!(scene.ask("old").await, Ok(()));
        assert_eq!(scene.endpoint.asked(), 1, "{stated_s}");
        scene.clock.advance(SECOND);
        assert_eq!(scene.ask("old").await, Ok(()));
        assert_eq!(scene.endpoint.asked(), 2, "{stated_s}");
    }
}

#[tokio::test]
async fn background_work_fetches_before_the_lifetime_ends() {
    let scene = Scene::new();
    assert!(!scene.cache.is_ready());
    assert!(scene.cache.refresh_if_ageing().await);
    assert!(scene.cache.is_ready());
    assert!(scene.cache.refresh_if_ageing().await);
    assert_eq!(scene.endpoint.asked(), 1);
    scene.clock.advance(DEFAULT_LIFETIME * 4 / 5);
    assert!(scene.cache.refresh_if_ageing().await);
    assert_eq!(scene.endpoint.asked(), 2);
    scene.endpoint.fail();
    scene.clock.advance(DEFAULT_LIFETIME);
    assert!(!scene.cache.refresh_if_ageing().await);
    assert!(scene.cache.is_ready());
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_the_fetch_for_others() {
    let scene = Scene::new();
    {
        let mut asking = Box::pin(scene.ask("old"));
        assert!(futures_util::poll!(&mut asking).is_pending());
    }
    assert_eq!(scene.ask("old").await, Ok(()));
    assert_eq!(scene.endpoint.asked(), 1);
}
