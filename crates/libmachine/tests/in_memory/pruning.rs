//! `prune`: what no machine owns, where the store's machines are.

use std::time::{Duration, UNIX_EPOCH};

use machine_driver::fake::{FakeFault, FakeResource};
use machine_types::MachineState;

use crate::fixture::{FAKE, Fixture};

const HOUR: Duration = Duration::from_secs(3600);

/// A store with a sound machine, and one whose directory somebody has deleted.
async fn with_a_lost_machine() -> Fixture {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.create("lost").await.unwrap();
    fixture.lose("lost");
    fixture.advance(HOUR);
    fixture
}

#[tokio::test]
async fn what_no_machine_owns_is_listed_and_removed_with_force_alone() {
    let fixture = with_a_lost_machine().await;
    let pruned = fixture.prune(false).await.unwrap();
    let mut found: Vec<&str> = pruned
        .found
        .iter()
        .map(|found| found.what.as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "disk disk-5 in here",
            "instance instance-6 in here",
            "key pair key-pair-4 in here"
        ]
    );
    assert!(pruned.found.iter().all(|found| found.machine == "lost"));
    assert_eq!(fixture.cloud.kinds_of("lost").len(), 3);

    assert_eq!(fixture.prune(true).await.unwrap().removed, 3);
    assert!(fixture.cloud.kinds_of("lost").is_empty());
    assert_eq!(fixture.cloud.kinds_of("m1").len(), 3);
}

#[tokio::test]
async fn what_is_young_may_be_a_create_that_is_running() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.create("lost").await.unwrap();
    fixture.lose("lost");
    assert!(fixture.prune(true).await.unwrap().found.is_empty());
    assert_eq!(fixture.cloud.kinds_of("lost").len(), 3);
}

#[tokio::test]
async fn what_carries_another_stores_tag_or_none_is_somebody_elses() {
    let fixture = with_a_lost_machine().await;
    let now = fixture.now().duration_since(UNIX_EPOCH).unwrap();
    let foreign = |store: Option<&str>| FakeResource {
        kind: "instance".into(),
        place: "here".into(),
        key: "token-x".into(),
        machine: "theirs".into(),
        store: store.map(str::to_owned),
        owner_id: None,
        created: u64::try_from((now - 2 * HOUR).as_millis()).unwrap(),
        state: MachineState::Running,
    };
    fixture.cloud.put(foreign(Some("another-store")));
    fixture.cloud.put(foreign(None));
    let ours = fixture.cloud.put(foreign(Some(&fixture.store_id())));
    assert_eq!(fixture.prune(true).await.unwrap().removed, 4);
    assert!(!fixture.cloud.resources().contains_key(&ours));
    assert_eq!(fixture.cloud.kinds_of("theirs").len(), 2);
}

#[tokio::test]
async fn a_place_that_cannot_be_asked_is_reported_and_keeps_no_other_from_being_pruned() {
    let fixture = with_a_lost_machine().await;
    fixture
        .create_with("m2", FAKE, &[("fake-place", "far")])
        .await
        .unwrap();
    fixture.cloud.fail("list far", FakeFault::Refused);
    let pruned = fixture.prune(true).await.unwrap();
    assert_eq!(pruned.removed, 3);
    let [left] = &pruned.left[..] else {
        panic!("{:?}", pruned.left);
    };
    assert_eq!(left.what, "whatever is in far");
}

#[tokio::test]
async fn each_place_is_asked_once() {
    let fixture = with_a_lost_machine().await;
    fixture.create("m2").await.unwrap();
    fixture
        .create_with("m3", FAKE, &[("fake-place", "far")])
        .await
        .unwrap();
    fixture.cloud.clear_calls();
    fixture.prune(false).await.unwrap();
    assert_eq!(fixture.cloud.calls(), ["list here", "list far"]);
}
