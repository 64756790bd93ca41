//! Commands cut when a call of EC2 or a command over SSH has just ended: by a crash, or by a cancellation.

use std::sync::Arc;

use crate::conditions::Conditions;
use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Ended, Fixture};
use crate::sweep::Sweep;

const WAYS: [Way; 2] = [Way::Crashes, Way::IsCancelled];

async fn cut(fixture: &Fixture, command: Command, nth: usize, way: Way) -> Ended {
    let fault_injection = Arc::new(FaultInjector::at(Places::Work, nth, way));
    let ended = fixture.cut(command, &fault_injection).await;
    assert!(fault_injection.has_cut(), "it never came there: {ended:?}");
    if way == Way::Crashes {
        assert_eq!(ended, Ended::Crashed);
    }
    ended
}

async fn cut_create(nth: usize, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    let ended = cut(&fixture, Command::Create, nth, way).await;
    if matches!(ended, Ended::Badly(_)) && conditions != Conditions::Blind {
        fixture.flow.assert_clean();
    }
    fixture.leave().await;
}

async fn cut_remove(nth: usize, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    fixture.run(Command::Create).await.ok();
    cut(&fixture, Command::Remove, nth, way).await;
    fixture.leave().await;
}

async fn cut_change(command: Command, places: usize, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    for nth in 0..places {
        fixture.prepare(command).await;
        conditions.over(fixture.lab());
        let ended = cut(&fixture, command, nth, way).await;
        fixture.assert_usable(command, &ended).await;
    }
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_cut_after_any_call_or_remote_command_loses_nothing() {
    let mut sweep = Sweep::default();
    let mut creates = Vec::new();
    for conditions in Conditions::ALL {
        let create = Fixture::places_under(conditions, Places::Work, Command::Create).await;
        creates.push((conditions, create));
    }
    let remove = Fixture::places(Places::Work, Command::Remove).await;
    for way in WAYS {
        for (conditions, create) in &creates {
            let conditions = *conditions;
            for (nth, name) in create.iter().enumerate() {
                let title = format!("create, {way:?} at {name}, {conditions:?}");
                sweep.add(title, cut_create(nth, way, conditions));
            }
            for (nth, name) in remove.iter().enumerate() {
                let title = format!("rm, {way:?} at {name}, {conditions:?}");
                sweep.add(title, cut_remove(nth, way, conditions));
            }
        }
        for command in Command::CHANGES {
            let places = Fixture::places(Places::Work, command).await.len();
            // What is there already is seen: no blindness.
            for conditions in [Conditions::Fair, Conditions::Throttled, Conditions::Twice] {
                let name =
                    format!("{command:?}, {way:?} at each of {places} places, {conditions:?}");
                sweep.add_many(places, name, cut_change(command, places, way, conditions));
            }
        }
    }
    sweep.make("after every call and remote command").await;
}
