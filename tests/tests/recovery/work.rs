//! Fault injection after each EC2 call and each SSH command: a crash or a cancellation.

use std::sync::Arc;

use crate::conditions::Conditions;
use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Ended, Fixture};
use crate::sweep::Sweep;

const WAYS: [Way; 2] = [Way::Crashes, Way::IsCancelled];

/// The places of a command, in their order.
type Names = Arc<Vec<String>>;

/// Injects a fault into a command at a place. Under fair conditions every place is reached, unless an instance runs
/// after fewer polls; under others EC2 may receive fewer calls (invisible resources are not queried again). A command
/// that succeeds before the place had no fault.
async fn cut(
    fixture: &Fixture,
    command: Command,
    (nth, places): (usize, &Names),
    way: Way,
    conditions: Conditions,
) -> Ended {
    let fault_injection = Arc::new(FaultInjector::at(Places::Work, nth, way));
    let ended = fixture.cut(command, &fault_injection).await;
    let seen = fault_injection.seen();
    let but_polls = |names: &[String]| -> Vec<String> {
        let is_poll = |name: &&String| name.contains("DescribeInstances");
        names
            .iter()
            .filter(|name| !is_poll(name))
            .cloned()
            .collect()
    };
    let may_be_spared = conditions != Conditions::Fair || but_polls(&seen) == but_polls(places);
    assert!(
        fault_injection.has_cut() || may_be_spared && ended == Ended::Succeeded,
        "the place was not reached: {ended:?}, {seen:?}"
    );
    if way == Way::Crashes && fault_injection.has_cut() {
        assert_eq!(ended, Ended::Crashed);
    }
    ended
}

async fn cut_create(nth: usize, places: Names, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    let ended = cut(&fixture, Command::Create, (nth, &places), way, conditions).await;
    if matches!(ended, Ended::Failed(_)) && conditions != Conditions::Blind {
        fixture.flow.assert_clean();
    }
    fixture.leave().await;
}

async fn cut_remove(nth: usize, places: Names, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    fixture.run(Command::Create).await.ok();
    cut(&fixture, Command::Remove, (nth, &places), way, conditions).await;
    fixture.leave().await;
}

async fn cut_change(command: Command, places: Names, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    for nth in 0..places.len() {
        fixture.prepare(command).await;
        conditions.over(fixture.lab());
        let ended = cut(&fixture, command, (nth, &places), way, conditions).await;
        fixture.assert_usable(command, &ended).await;
    }
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_interrupted_after_any_call_or_remote_command_loses_nothing() {
    let mut sweep = Sweep::default();
    let create = Arc::new(Fixture::places(Places::Work, Command::Create).await);
    let remove = Arc::new(Fixture::places(Places::Work, Command::Remove).await);
    for way in WAYS {
        for conditions in Conditions::ALL {
            for (nth, name) in create.iter().enumerate() {
                let title = format!("create, {way:?} at {name}, {conditions:?}");
                sweep.add(title, cut_create(nth, create.clone(), way, conditions));
            }
            for (nth, name) in remove.iter().enumerate() {
                let title = format!("rm, {way:?} at {name}, {conditions:?}");
                sweep.add(title, cut_remove(nth, remove.clone(), way, conditions));
            }
        }
        for command in Command::CHANGES {
            let places = Arc::new(Fixture::places(Places::Work, command).await);
            let number = places.len();
            // Existing resources are visible: no blindness.
            for conditions in [Conditions::Fair, Conditions::Throttled, Conditions::Twice] {
                let name =
                    format!("{command:?}, {way:?} at each of {number} places, {conditions:?}");
                let changed = cut_change(command, places.clone(), way, conditions);
                sweep.add_many(number, name, changed);
            }
        }
    }
    sweep.make("after every call and remote command").await;
}
