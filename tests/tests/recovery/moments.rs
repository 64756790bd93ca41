//! Fault injection at every moment of every step of a create: before the intent, after it, after the call, after the
//! record; an error, a crash, a cancellation.

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::Lab;
use machine_ops::Moment;
use machine_tests::flows::Flow;

use crate::conditions::Conditions;
use crate::fault_injection::{FaultInjector, Places, Way};
use crate::fixture::{Command, Ended, Fixture};
use crate::sweep::Sweep;

/// The errno is ignored: a step that fails here returns a separate error.
const WAYS: [Way; 3] = [Way::Fails(0), Way::Crashes, Way::IsCancelled];

async fn cut_create(nth: usize, name: String, way: Way, conditions: Conditions) {
    let fixture = Fixture::new().await;
    conditions.over(fixture.lab());
    let fault_injection = Arc::new(FaultInjector::at(Places::Moments, nth, way));
    let ended = fixture.cut(Command::Create, &fault_injection).await;
    assert!(
        fault_injection.has_cut(),
        "the place was not reached: {ended:?}"
    );
    assert_eq!(fault_injection.seen()[nth], name);
    match way {
        Way::Crashes => assert_eq!(ended, Ended::Crashed),
        _ => assert!(matches!(ended, Ended::Failed(_)), "{ended:?}"),
    }
    if way != Way::Crashes && conditions != Conditions::Blind {
        // It has rolled back by itself: only resources that were not visible yet may still be in the journal.
        assert_eq!(fixture.lab().left_over(), Vec::<String>::new());
    }
    fixture.leave().await;
}

async fn matrix(conditions: Conditions) {
    let moments = Fixture::places(Places::Moments, Command::Create).await;
    assert_eq!(moments.len() % Moment::ALL.len(), 0, "{moments:?}");
    let mut sweep = Sweep::default();
    for (nth, name) in moments.iter().enumerate() {
        for way in WAYS {
            let cut = cut_create(nth, name.clone(), way, conditions);
            sweep.add(format!("{way:?} at {name}, {conditions:?}"), cut);
        }
    }
    let title = format!("create at every moment of its steps, {conditions:?}");
    sweep.make(&title).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_interrupted_at_any_moment_of_a_step_leaves_nothing_behind() {
    for conditions in Conditions::ALL {
        matrix(conditions).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_of_unknown_outcome_stays_on_record_until_it_is_resolved() {
    let moments = Fixture::places(Places::Moments, Command::Create).await;
    let intended = moments
        .iter()
        .position(|m| m == "AfterIntent of \"launch instance\"");
    let fixture = Fixture::new().await;
    let fault_injection = Arc::new(FaultInjector::at(
        Places::Moments,
        intended.unwrap(),
        Way::Crashes,
    ));
    assert_eq!(
        fixture.cut(Command::Create, &fault_injection).await,
        Ended::Crashed
    );
    fixture.lab().clear_calls();
    fixture.run(Command::Remove).await.ok();
    let calls: Vec<String> = fixture
        .lab()
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    assert_eq!(calls[0], "DeleteKeyPair", "a pending launch must fail");
    let looks = calls
        .iter()
        .filter(|call| *call == "DescribeInstances")
        .count();
    assert!(looks > 2, "{calls:?}");
    assert_eq!(fixture.flow.home.tombstones(), 1);

    fixture.lab().clock().advance(Duration::from_secs(6 * 60));
    fixture.run(Command::Create).await.ok();
    assert_eq!(fixture.flow.home.tombstones(), 0);
    fixture.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_launch_fails_without_its_key_pair() {
    let flow = Flow::start().await;
    let gate = flow.lab.hold("RunInstances");
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    let mut create = flow.home.start(argv);
    gate.arrived(1).await;
    create.kill().await.unwrap();
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert!(
        removed.err.contains("left behind, and on record"),
        "{removed}"
    );
    gate.open();
    let failed = |lab: &Lab| {
        lab.calls()
            .iter()
            .any(|call| call.action == "RunInstances" && call.finished)
    };
    flow.lab.until(failed).await;
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
}
