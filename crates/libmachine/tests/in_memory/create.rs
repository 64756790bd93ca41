//! `create`: the record at each step, and the order of the rollback.

use std::sync::Arc;

use libmachine::{Cancel, Error, Hook};
use machine_driver::fake::FakeFault;
use machine_ops::{Cut, Injected, Moment, Phase};

use crate::fixture::{BARE, FAKE, Fixture, phase};

const MADE: [&str; 3] = ["make key-pair", "make disk", "make instance"];

#[tokio::test]
async fn each_resource_is_on_record_with_its_driver_before_and_after_its_creation() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    let entries = fixture.entries("m1");
    let phases: Vec<String> = entries.iter().map(phase).collect();
    assert_eq!(
        phases,
        [
            "intent key-pair",
            "made",
            "intent disk",
            "made",
            "intent instance",
            "made"
        ]
    );
    for entry in &entries {
        if let Phase::Intent { intent } = &entry.phase {
            assert_eq!(
                (intent.driver.as_str(), intent.scope.get("place")),
                (FAKE, Some("here"))
            );
        }
    }
    assert_eq!(
        fixture.cloud.kinds_of("m1"),
        ["disk", "instance", "key-pair"]
    );
}

#[tokio::test]
async fn a_refused_launch_is_undone_in_reverse_order_with_the_key_pair_first() {
    let fixture = Fixture::new();
    fixture.cloud.fail("make instance", FakeFault::Refused);
    let error = fixture.create("m1").await.unwrap_err();
    assert!(error.left().is_empty(), "{:?}", error.left());
    let undone = ["remove key-pair", "remove disk"];
    assert_eq!(fixture.cloud.calls(), [&MADE[..], &undone].concat());
    assert!(fixture.cloud.resources().is_empty());
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn a_launch_whose_answer_was_lost_is_found_by_its_token_and_undone() {
    let fixture = Fixture::new();
    fixture.cloud.fail("make instance", FakeFault::AnswerLost);
    let error = fixture.create("m1").await.unwrap_err();
    assert!(error.left().is_empty(), "{:?}", error.left());
    let undone = ["remove key-pair", "remove instance", "remove disk"];
    assert_eq!(fixture.cloud.calls(), [&MADE[..], &undone].concat());
    assert!(fixture.cloud.resources().is_empty());
}

#[tokio::test]
async fn after_a_refused_undo_the_rest_is_undone_and_the_machine_is_kept_for_rm() {
    let fixture = Fixture::new();
    fixture.cloud.fail("make instance", FakeFault::Refused);
    fixture.cloud.fail("remove key-pair", FakeFault::Refused);
    let error = fixture.create("m1").await.unwrap_err();
    let left: Vec<&str> = error.left().iter().map(|left| left.what.as_str()).collect();
    assert_eq!(left, ["key pair key-pair-1 in here"]);
    assert_eq!(fixture.cloud.kinds_of("m1"), ["key-pair"]);
    assert_eq!(fixture.names(), ["m1"]);

    // Undone resources are not undone again.
    fixture.cloud.clear_calls();
    fixture.remove("m1").await.unwrap();
    assert_eq!(fixture.cloud.calls(), ["remove key-pair"]);
    assert!(fixture.names().is_empty());
}

/// Cancels the operation as soon as a step's intent is on record.
struct CancelAt(&'static str, Cancel);

impl Hook for CancelAt {
    fn at(&self, cut: &Cut) -> Result<(), Injected> {
        if cut.step == self.0 && cut.moment == Moment::AfterIntent {
            self.1.cancel("SIGTERM");
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_cancelled_create_makes_no_further_call_and_is_undone() {
    let fixture = Fixture::new();
    let hook = CancelAt("make instance", fixture.cancel.clone());
    let fixture = fixture.with_hook(Arc::new(hook));
    let error = fixture.create("m1").await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(!fixture.cloud.calls().contains(&"make instance".to_owned()));
    assert!(fixture.cloud.resources().is_empty());
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn invalid_flags_create_neither_a_resource_nor_a_store() {
    let fixture = Fixture::new();
    let flaw = [("fake-flaw", "flags")];
    let error = fixture.create_with("m1", FAKE, &flaw).await.unwrap_err();
    assert!(matches!(error, Error::Configuration(_)), "{error}");
    assert!(fixture.cloud.calls().is_empty());
    assert_eq!(
        std::fs::read_dir(fixture.directory.path()).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn a_failed_pre_create_check_creates_nothing() {
    let fixture = Fixture::new();
    let flaw = [("fake-flaw", "preflight")];
    let error = fixture.create_with("m1", FAKE, &flaw).await.unwrap_err();
    assert!(matches!(error, Error::PreCreate(_)), "{error}");
    assert!(fixture.cloud.calls().is_empty());
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn a_second_create_of_a_name_changes_nothing_of_the_first() {
    let fixture = Fixture::new();
    fixture.create("m1").await.unwrap();
    let before = (fixture.cloud.resources(), fixture.entries("m1").len());
    let error = fixture.create_with("m1", BARE, &[]).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    let after = (fixture.cloud.resources(), fixture.entries("m1").len());
    assert_eq!(before, after);
}
