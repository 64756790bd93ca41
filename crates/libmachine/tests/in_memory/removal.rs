//! `rm`: by the journal, by the configuration, by tags. It keeps a machine if the result is uncertain.

use libmachine::RemoveOptions;
use machine_driver::fake::{FAKE_WINDOW, FakeFault};

use crate::fixture::Fixture;

#[tokio::test]
async fn rm_undoes_a_create_and_forgets_the_machine() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.cloud.clear_calls();
    let removed = fixture.remove("m1").await.unwrap();
    assert!(removed.left.is_empty());
    let undone = ["remove key-pair", "remove instance", "remove disk"];
    assert_eq!(fixture.cloud.calls(), undone);
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn the_journal_replaces_a_broken_configuration() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.spoil(&fixture.config("m1"));
    let removed = fixture.remove("m1").await.unwrap();
    assert!(removed.left.is_empty(), "{:?}", removed.left);
    assert!(fixture.cloud.resources().is_empty());
    assert!(fixture.told().contains("(m1) going by the journal"));
}

#[tokio::test]
async fn rm_uses_a_journal_of_a_version_that_did_not_record_drivers() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.edit(&fixture.journal("m1"), |text| {
        text.replace(r#""driver":"fake","#, "")
    });
    assert!(
        !std::fs::read_to_string(fixture.journal("m1"))
            .unwrap()
            .contains("driver")
    );
    fixture.spoil(&fixture.config("m1"));
    let removed = fixture.remove("m1").await.unwrap();
    assert!(removed.left.is_empty(), "{:?}", removed.left);
    assert!(fixture.cloud.resources().is_empty());
}

#[tokio::test]
async fn resources_of_another_driver_are_kept_and_stay_on_record() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.edit(&fixture.journal("m1"), |text| {
        let lines = text
            .lines()
            .map(|line| match line.contains(r#""kind":"disk""#) {
                true => line.replace(r#""driver":"fake""#, r#""driver":"alien""#),
                false => line.to_owned(),
            });
        lines.map(|line| line + "\n").collect()
    });
    let removed = fixture.remove("m1").await.unwrap();
    assert_eq!(fixture.cloud.kinds_of("m1"), ["disk"]);
    let [left] = &removed.left[..] else {
        panic!("{:?}", removed.left);
    };
    assert_eq!(left.what, "disk disk-2 in here");
    assert!(
        left.why.contains("the driver alien made it"),
        "{}",
        left.why
    );
    let tombstones = fixture.directory.path().join(".tombstones");
    assert_eq!(std::fs::read_dir(tombstones).unwrap().count(), 1);
}

#[tokio::test]
async fn a_machine_of_an_unknown_driver_is_not_removed_by_another() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.edit(&fixture.journal("m1"), |text| text.replace("fake", "alien"));
    fixture.spoil(&fixture.config("m1"));
    fixture.remove("m1").await.unwrap_err();
    assert_eq!(fixture.cloud.kinds_of("m1").len(), 3);
    assert_eq!(fixture.names(), ["m1"]);
}

/// A machine with unreadable configuration and journal, and an intact one.
async fn unreadable() -> Fixture {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.create("m2").await.unwrap();
    fixture.spoil(&fixture.config("m1"));
    fixture.spoil(&fixture.journal("m1"));
    fixture
}

#[tokio::test]
async fn without_records_the_tags_identify_the_resources_of_the_machine_only() {
    let fixture = unreadable().await;
    let removed = fixture.remove("m1").await.unwrap();
    assert!(removed.left.is_empty(), "{:?}", removed.left);
    assert!(fixture.cloud.kinds_of("m1").is_empty());
    assert_eq!(fixture.cloud.kinds_of("m2").len(), 3);
}

#[tokio::test]
async fn a_place_that_refuses_to_list_keeps_everything() {
    let fixture = unreadable().await;
    fixture.cloud.fail("list here", FakeFault::Refused);
    fixture.remove("m1").await.unwrap_err();
    assert_eq!(fixture.cloud.kinds_of("m1").len(), 3);
    assert_eq!(fixture.names(), ["m1", "m2"]);
}

#[tokio::test]
async fn a_recent_key_pair_does_not_prove_that_there_is_no_instance() {
    let fixture = Fixture::new();
    fixture.create("m2").await.unwrap();
    fixture.cloud.fail("make disk", FakeFault::Refused);
    fixture.cloud.fail("remove key-pair", FakeFault::Refused);
    fixture.create("m1").await.unwrap_err();
    fixture.spoil(&fixture.config("m1"));
    fixture.spoil(&fixture.journal("m1"));
    let error = fixture.remove("m1").await.unwrap_err();
    let why = &error.left()[0].why;
    assert!(
        why.contains("may not show its instance yet: try again in 5 minutes"),
        "{why}"
    );
    fixture.advance(FAKE_WINDOW);
    fixture.remove("m1").await.unwrap();
    assert!(fixture.cloud.kinds_of("m1").is_empty());
}

#[tokio::test]
async fn a_later_command_undoes_what_rm_with_force_left() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    fixture.cloud.fail("remove instance", FakeFault::Refused);
    // Once for rm, once for its processing of tombstones.
    fixture.cloud.fail("remove instance", FakeFault::Refused);
    fixture.remove("m1").await.unwrap_err();
    assert_eq!(fixture.names(), ["m1"]);
    let forced = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    fixture.cloud.fail("remove instance", FakeFault::Refused);
    let removed = libmachine::remove(&fixture.library(), "m1", &forced)
        .await
        .unwrap();
    assert!(removed.overridden.is_some());
    assert!(fixture.names().is_empty());
    fixture.create("m2").await.unwrap();
    assert!(fixture.cloud.kinds_of("m1").is_empty());
    assert!(fixture.told().contains("Settled what was left of m1"));
}
