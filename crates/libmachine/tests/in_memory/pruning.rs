//! `prune`: orphaned resources in the places of the store's machines.

use std::time::{Duration, UNIX_EPOCH};

use machine_driver::fake::{FakeFault, FakeResource};
use machine_types::MachineState;

use crate::fixture::{FAKE, Fixture};

const HOUR: Duration = Duration::from_secs(3600);

/// A store with an intact machine, and one whose directory was deleted.
async fn with_a_lost_machine() -> Fixture {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.create("lost").await.unwrap();
    fixture.lose("lost");
    fixture.advance(HOUR);
    fixture
}

#[tokio::test]
async fn orphans_are_listed_and_removed_only_with_force() {
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
async fn recent_resources_may_belong_to_a_running_create() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.create("lost").await.unwrap();
    fixture.lose("lost");
    assert!(fixture.prune(true).await.unwrap().found.is_empty());
    assert_eq!(fixture.cloud.kinds_of("lost").len(), 3);
}

#[tokio::test]
async fn resources_without_this_stores_tag_are_kept() {
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
async fn a_failed_place_is_reported_and_the_others_are_pruned() {
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
async fn a_machine_is_known_behind_a_link_and_one_under_an_odd_name_is_asked_about() {
    let fixture = with_a_lost_machine().await;
    let machines = fixture.directory.path().join("machines");
    for name in ["linked", "odd"] {
        fixture.create(name).await.unwrap();
    }
    fixture.advance(HOUR);
    let elsewhere = fixture.directory.path().join("elsewhere");
    std::fs::rename(machines.join("linked"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, machines.join("linked")).unwrap();
    std::fs::rename(machines.join("odd"), machines.join("odd_name")).unwrap();
    let refused = fixture.prune(true).await.unwrap_err().to_string();
    assert!(refused.contains("odd_name"), "{refused}");
    assert_eq!(fixture.cloud.kinds_of("lost").len(), 3);

    std::fs::rename(machines.join("odd_name"), machines.join("odd")).unwrap();
    assert_eq!(fixture.prune(true).await.unwrap().removed, 3);
    for name in ["linked", "odd", "m1"] {
        assert_eq!(fixture.cloud.kinds_of(name).len(), 3, "{name}");
    }
    std::fs::rename(&elsewhere, fixture.directory.path().join("unmounted")).unwrap();
    let refused = fixture.prune(true).await.unwrap_err().to_string();
    assert!(refused.contains("machines/linked"), "{refused}");
}

#[tokio::test]
async fn where_the_disk_of_the_machines_is_not_mounted_nothing_is_removed() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    let machines = fixture.directory.path().join("machines");
    let aside = fixture.directory.path().join("aside");
    let mount = fixture.directory.path().join("mount");
    std::fs::rename(&machines, &aside).unwrap();
    std::fs::create_dir(&machines).unwrap();
    fixture.advance(HOUR);
    fixture.prune(true).await.unwrap_err();
    fixture.create("meanwhile").await.unwrap();
    assert!(fixture.told().contains("is its disk mounted?"));
    fixture.advance(HOUR);
    let refused = fixture.prune(true).await.unwrap_err().to_string();
    assert!(refused.contains("is its disk mounted?"), "{refused}");
    std::fs::rename(&machines, &mount).unwrap();
    std::fs::rename(&aside, &machines).unwrap();
    // Mounted again: what was created meanwhile is hidden.
    fixture.prune(true).await.unwrap_err();
    for name in ["m1", "meanwhile"] {
        assert_eq!(fixture.cloud.kinds_of(name).len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_machine_of_a_driver_that_is_not_there_is_known_by_its_journal() {
    let fixture = with_a_lost_machine().await;
    fixture.create("m2").await.unwrap();
    fixture.advance(HOUR);
    fixture.edit(&fixture.config("m2"), |text| {
        text.replace(r#""DriverName": "fake""#, r#""DriverName": "later""#)
    });
    assert_eq!(fixture.prune(true).await.unwrap().removed, 3);
    assert_eq!(fixture.cloud.kinds_of("m2").len(), 3);
}

#[tokio::test]
async fn each_place_is_listed_once() {
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
