//! `ls`: one call for each route, and the state of each machine.

use std::time::Duration;

use machine_driver::fake::FakeFault;
use machine_types::MachineState;

use crate::fixture::{BARE, FAKE, Fixture};

const LONG: Duration = Duration::from_secs(20);

/// Machines of two drivers in two places; the names contain both.
async fn mixed() -> Fixture {
    let fixture = Fixture::new();
    for (name, driver, place) in [
        ("a-here", FAKE, "here"),
        ("b-bare", BARE, "here"),
        ("c-far", FAKE, "far"),
        ("d-here", FAKE, "here"),
        ("e-bare", BARE, "here"),
    ] {
        let place = [("fake-place", place)];
        fixture.create_with(name, driver, &place).await.unwrap();
    }
    fixture.cloud.set_state("a-here", MachineState::Stopped);
    fixture.cloud.set_state("c-far", MachineState::Stopping);
    fixture.cloud.clear_calls();
    fixture
}

async fn states(fixture: &Fixture, timeout: Duration) -> Vec<(String, MachineState)> {
    let items = fixture.list(timeout).await.into_iter();
    items.map(|item| (item.name, item.state)).collect()
}

fn expected(far: MachineState) -> Vec<(String, MachineState)> {
    [
        ("a-here", MachineState::Stopped),
        ("b-bare", MachineState::Running),
        ("c-far", far),
        ("d-here", MachineState::Running),
        ("e-bare", MachineState::Running),
    ]
    .map(|(name, state)| (name.to_owned(), state))
    .to_vec()
}

#[tokio::test]
async fn each_route_takes_one_call_and_each_machine_has_its_own_state() {
    let fixture = mixed().await;
    assert_eq!(
        states(&fixture, LONG).await,
        expected(MachineState::Stopping)
    );
    let mut calls = fixture.cloud.calls();
    calls.sort();
    assert_eq!(calls, ["states of 1 in far", "states of 2 in here"]);
}

#[tokio::test]
async fn a_silent_place_times_out_only_its_own_machines() {
    let fixture = mixed().await;
    fixture.cloud.fail("states of 1 in far", FakeFault::Silent);
    let items = fixture.list(Duration::from_millis(300)).await;
    let unknown = items.iter().filter(|item| item.is_unknown);
    let unknown: Vec<&str> = unknown.map(|item| item.name.as_str()).collect();
    assert_eq!(unknown, ["c-far"]);
    let states = items.into_iter().map(|item| (item.name, item.state));
    assert_eq!(states.collect::<Vec<_>>(), expected(MachineState::Timeout));
}

#[tokio::test]
async fn a_refusal_of_a_place_is_an_error_of_its_own_machines_only() {
    let fixture = mixed().await;
    fixture.cloud.fail("states of 1 in far", FakeFault::Refused);
    let items = fixture.list(LONG).await;
    assert!(items[2].error.contains("refused"), "{:?}", items[2]);
    assert_eq!(items[3].state, MachineState::Running);
}

#[tokio::test]
async fn a_broken_machine_and_an_unknown_driver_have_separate_lines() {
    let fixture = mixed().await;
    fixture.spoil(&fixture.config("a-here"));
    fixture.edit(&fixture.config("b-bare"), |text| {
        text.replace(r#""bare""#, r#""alien""#)
    });
    let items = fixture.list(LONG).await;
    let drivers: Vec<&str> = items.iter().map(|item| item.driver.as_str()).collect();
    assert_eq!(drivers, ["not found", "not-found", FAKE, FAKE, BARE]);
    assert_eq!(items[2].state, MachineState::Stopping);
}

#[tokio::test]
async fn without_any_time_no_call_is_made() {
    let fixture = mixed().await;
    let states = states(&fixture, Duration::ZERO).await;
    assert!(
        states
            .iter()
            .all(|(_, state)| *state == MachineState::Timeout)
    );
    assert!(fixture.cloud.calls().is_empty());
}
