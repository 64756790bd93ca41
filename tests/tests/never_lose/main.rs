//! Never lose a machine: whatever cuts a command off at EC2, a later `rm` leaves nothing behind.
//!
//! Each cut is a run of its own, with its own EC2, hosts and store. A command is run once to learn its
//! calls; then once for each call and each way to be cut at it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{Blindness, Effect, Fault, Gate, Kind};
use machine_tests::flows::Flow;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many cuts are made at once: the machine has few cores, and a cut is mostly waiting.
const AT_ONCE: usize = 6;

/// A way to be cut at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Killed before EC2 acts.
    KilledBefore,
    /// Killed after EC2 has acted, before it answers.
    KilledAfter,
    /// The connection is dropped before EC2 acts, once.
    Dropped,
    /// EC2 acts, and the answer is lost, once.
    AnswerLost,
    /// EC2 refuses, for good.
    Refused,
    /// SIGTERM while the call is on its way; then EC2 acts and answers.
    Terminated,
}

const CUTS: [Cut; 6] = [
    Cut::KilledBefore,
    Cut::KilledAfter,
    Cut::Dropped,
    Cut::AnswerLost,
    Cut::Refused,
    Cut::Terminated,
];

/// How EC2 behaves around the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// As one would wish.
    Fair,
    /// What is fresh is unknown, known, unknown again for a moment, then known.
    Flickering,
    /// Throttled: every second call is told to come back later.
    Throttled,
}

fn create(flow: &Flow) -> Vec<String> {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    argv
}

fn settle(flow: &Flow, weather: Weather) {
    match weather {
        Weather::Fair => {}
        Weather::Flickering => {
            for kind in [Kind::Instance, Kind::KeyPair, Kind::Tags] {
                flow.lab
                    .blind(kind, Blindness::flicker(Duration::from_millis(700)));
            }
        }
        Weather::Throttled => {
            for call in (0..40).step_by(2) {
                let slow_down = Fault::error("*", "RequestLimitExceeded");
                flow.lab.inject(slow_down.after(call));
            }
        }
    }
}

/// Learns the calls of a create, in order.
async fn calls_of_create() -> Vec<String> {
    let flow = Flow::start().await;
    flow.home.run(create(&flow)).await.ok();
    let calls = flow
        .lab
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
    calls
}

/// Cuts a create at its n-th call, then removes the machine, and looks at what is left.
async fn cut_create(call: usize, cut: Cut, weather: Weather) {
    let flow = Flow::start().await;
    settle(&flow, weather);
    let gate = Gate::new();
    let effect = match cut {
        Cut::KilledBefore | Cut::Terminated => Effect::Hold(gate.clone()),
        Cut::KilledAfter => Effect::HoldAnswer(gate.clone()),
        Cut::Dropped => Effect::Drop,
        Cut::AnswerLost => Effect::LoseAnswer,
        Cut::Refused => Effect::Error {
            code: "UnauthorizedOperation".to_owned(),
            message: "You are not authorized to perform this operation.".to_owned(),
            status: None,
        },
    };
    let calls = u32::try_from(call).unwrap();
    let fault = flow.lab.inject(Fault::on("*", effect).after(calls));
    match cut {
        Cut::KilledBefore | Cut::KilledAfter => {
            let mut child = flow.home.start(create(&flow));
            gate.arrived(1).await;
            child.kill().await.unwrap();
            gate.open();
        }
        Cut::Terminated => {
            let mut child = flow.home.start(create(&flow));
            gate.arrived(1).await;
            let pid = i32::try_from(child.id().unwrap()).unwrap();
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::TERM,
            )
            .unwrap();
            gate.open();
            let status = child.wait().await.unwrap();
            assert!(!status.success(), "a create that was told to end says so");
            // It has rolled back by itself.
            flow.assert_clean();
        }
        Cut::Dropped | Cut::AnswerLost => {
            // Once is not enough to fail it: the call is made again, or its outcome is found.
            let _ = flow.home.run(create(&flow)).await;
        }
        Cut::Refused => {
            let _ = flow.home.run(create(&flow)).await;
        }
    }
    assert_eq!(flow.lab.hits(fault), 1, "it was cut where it should be");
    if flow.home.machine("m1").exists() {
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        assert!(removed.out.contains("Successfully removed m1"), "{removed}");
    }
    // What nobody could be certain of at once is on record, and is settled once it can be seen.
    if flow.home.tombstones() > 0 {
        flow.lab.clock().advance(Duration::from_secs(6 * 60));
        flow.lab.heal();
        let _ = flow.home.run(["rm", "-y", "nobody"]).await;
        flow.home.run(["prune", "--force"]).await;
    }
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
    assert_eq!(flow.home.directories(), Vec::<String>::new());
}

async fn matrix(weather: Weather) {
    let calls = calls_of_create().await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut cuts = JoinSet::new();
    for (call, action) in calls.iter().enumerate() {
        for cut in CUTS {
            let (places, action) = (places.clone(), action.clone());
            cuts.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let name = format!("{cut:?} at call {call} ({action}), {weather:?}");
                let made = tokio::spawn(cut_create(call, cut, weather)).await;
                made.err().map(|error| format!("{name}: {error}"))
            });
        }
    }
    let made = cuts.len();
    let lost: Vec<String> = cuts.join_all().await.into_iter().flatten().collect();
    assert!(
        lost.is_empty(),
        "{} of {made} cuts lost something:\n{}",
        lost.len(),
        lost.join("\n")
    );
    println!("{made} cuts, nothing lost ({weather:?})");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_cut_at_any_call_leaves_nothing_behind() {
    matrix(Weather::Fair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_what_is_fresh_cannot_be_seen() {
    matrix(Weather::Flickering).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_ec2_is_throttled() {
    matrix(Weather::Throttled).await;
}
