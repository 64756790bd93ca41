//! Saved keys that EC2 refuses, and the keys of the environment that replace them.
//!
//! The provider chain reads the environment, which a test must not change in its own process. Each case runs in a child
//! process with a separate environment, without a route to a metadata service.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::process::Command;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, KeyState, Lab, OTHER_ACCOUNT};
use fixture::Fixture;
use machine_driver::DriverErrorKind;

/// Runs a test of this file in a child process with these keys in its environment. Returns true in the child.
fn in_a_child(test: &str, access_key: Option<&str>) -> bool {
    if std::env::var_os("IN_A_CHILD").is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([test, "--exact"]).env_clear();
    child
        .env("IN_A_CHILD", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("RUST_MIN_STACK", "16777216")
        .env("HOME", "/nonexistent");
    if let Some(key) = access_key {
        child
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", "FRESHSECRET");
    }
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    false
}

/// Creates a machine, expires its keys, and undoes it.
async fn undo_with_expired_keys() -> (
    Fixture,
    machine_ops::UndoReport<machine_driver::DriverError>,
) {
    let builder = Lab::builder()
        .access_key(ACCESS_KEY, ACCOUNT)
        .access_key("AKIDFRESH", ACCOUNT)
        .access_key("AKIDOTHER", OTHER_ACCOUNT);
    let fixture = Fixture::with(builder).await;
    let machine = fixture.created(&[]).await;
    fixture.lab.set_key_state(ACCESS_KEY, KeyState::Expired);
    let report = fixture.undo(&*machine).await;
    (fixture, report)
}

#[tokio::test]
async fn valid_keys_of_the_same_account_replace_expired_ones() {
    if in_a_child(
        "valid_keys_of_the_same_account_replace_expired_ones",
        Some("AKIDFRESH"),
    ) {
        let (fixture, report) = undo_with_expired_keys().await;
        assert!(report.is_clean(), "{:?}", report.left);
        assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
        assert!(
            fixture
                .told
                .lines()
                .contains("AWS refuses the saved credentials")
        );
        assert!(!fixture.told.everything().contains("FRESHSECRET"));
    }
}

#[tokio::test]
async fn keys_of_another_account_replace_nothing() {
    if in_a_child("keys_of_another_account_replace_nothing", Some("AKIDOTHER")) {
        let (fixture, report) = undo_with_expired_keys().await;
        assert_eq!(report.left.len(), 2, "key pair and instance stay on record");
        assert_eq!(fixture.lab.live_instances().len(), 1);
    }
}

#[tokio::test]
async fn without_other_keys_the_refusal_is_reported() {
    if in_a_child("without_other_keys_the_refusal_is_reported", None) {
        let (_, report) = undo_with_expired_keys().await;
        for left in &report.left {
            assert_eq!(
                left.reason.as_ref().unwrap_err().kind,
                DriverErrorKind::Denied
            );
        }
        assert_eq!(report.left.len(), 2);
    }
}

#[tokio::test]
async fn keys_of_the_provider_chain_are_used_and_never_saved() {
    if in_a_child(
        "keys_of_the_provider_chain_are_used_and_never_saved",
        Some(ACCESS_KEY),
    ) {
        let fixture = Fixture::new().await;
        let machine = fixture
            .created(&[("access-key", ""), ("secret-key", "")])
            .await;
        let saved = machine.save();
        assert_eq!(
            (&saved["AccessKey"], &saved["SecretKey"]),
            (&"".into(), &"".into())
        );
        assert!(!fixture.journal.driver().to_string().contains("FRESHSECRET"));
        assert_eq!(fixture.lab.live_instances().len(), 1);
    }
}

#[tokio::test]
async fn missing_credentials_are_reported_with_a_hint() {
    if in_a_child("missing_credentials_are_reported_with_a_hint", None) {
        let fixture = Fixture::new().await;
        let mut machine = fixture.machine(&[("access-key", ""), ("secret-key", "")]);
        let error = fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(error.kind, DriverErrorKind::Configuration, "{error}");
        assert!(error.hint.unwrap().contains("--amazonec2-access-key"));
        assert!(fixture.lab.calls().is_empty());
    }
}

#[tokio::test]
async fn orphaned_resources_are_found_with_valid_keys() {
    if in_a_child(
        "orphaned_resources_are_found_with_valid_keys",
        Some("AKIDFRESH"),
    ) {
        let builder = Lab::builder()
            .access_key(ACCESS_KEY, ACCOUNT)
            .access_key("AKIDFRESH", ACCOUNT);
        let fixture = Fixture::with(builder).await;
        let machine = fixture.created(&[]).await;
        fixture.lab.set_key_state(ACCESS_KEY, KeyState::Expired);
        let left = machine
            .left_behind(fixture::owner("store-1"), &fixture.cx)
            .await
            .unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
