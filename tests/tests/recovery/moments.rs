//! A create cut at every moment of every step: before the intent, after it, after the call, after the
//! record; by an error, a crash, a cancellation.

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::Lab;
use machine_ops::Moment;
use machine_tests::flows::Flow;

use crate::knife::{Knife, Places, Way};
use crate::room::{Command, Ended, Room};
use crate::sweep::Sweep;
use crate::weather::Weather;

/// The errno is not looked at: a step that fails here fails with an error of its own.
const WAYS: [Way; 3] = [Way::Fails(0), Way::Crashes, Way::IsCancelled];

async fn cut_create(nth: usize, name: String, way: Way, weather: Weather) {
    let room = Room::new().await;
    weather.over(room.lab());
    let knife = Arc::new(Knife::at(Places::Moments, nth, way));
    let ended = room.cut(Command::Create, &knife).await;
    assert!(knife.has_cut(), "it never came there: {ended:?}");
    assert_eq!(knife.seen()[nth], name);
    match way {
        Way::Crashes => assert_eq!(ended, Ended::Crashed),
        _ => assert!(matches!(ended, Ended::Badly(_)), "{ended:?}"),
    }
    if way != Way::Crashes && weather != Weather::Blind {
        // It has rolled back by itself: only what nobody could see yet may still be on record.
        assert_eq!(room.lab().left_over(), Vec::<String>::new());
    }
    room.leave().await;
}

async fn matrix(weather: Weather) {
    let moments = Room::places(Places::Moments, Command::Create).await;
    assert_eq!(moments.len() % Moment::ALL.len(), 0, "{moments:?}");
    let mut sweep = Sweep::default();
    for (nth, name) in moments.iter().enumerate() {
        for way in WAYS {
            let cut = cut_create(nth, name.clone(), way, weather);
            sweep.add(format!("{way:?} at {name}, {weather:?}"), cut);
        }
    }
    let title = format!("create at every moment of its steps, {weather:?}");
    sweep.make(&title).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_cut_at_any_moment_of_a_step_leaves_nothing_behind() {
    for weather in Weather::ALL {
        matrix(weather).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_launch_is_looked_for_kept_on_record_and_settled_in_passing() {
    let moments = Room::places(Places::Moments, Command::Create).await;
    let intended = moments
        .iter()
        .position(|m| m == "AfterIntent of \"launch instance\"");
    let room = Room::new().await;
    let knife = Arc::new(Knife::at(Places::Moments, intended.unwrap(), Way::Crashes));
    assert_eq!(room.cut(Command::Create, &knife).await, Ended::Crashed);
    room.lab().clear_calls();
    room.run(Command::Remove).await.ok();
    let calls: Vec<String> = room
        .lab()
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    assert_eq!(calls[0], "DeleteKeyPair", "a launch on its way then fails");
    let looks = calls
        .iter()
        .filter(|call| *call == "DescribeInstances")
        .count();
    assert!(looks > 2, "{calls:?}");
    assert_eq!(room.flow.home.tombstones(), 1);

    room.lab().clock().advance(Duration::from_secs(6 * 60));
    room.run(Command::Create).await.ok();
    assert_eq!(room.flow.home.tombstones(), 0);
    room.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_on_its_way_fails_when_its_key_pair_is_gone() {
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
