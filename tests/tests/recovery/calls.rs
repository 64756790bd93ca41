//! The real process cut at every call of EC2: killed, interrupted, refused, unheard.

use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};
use machine_tests::flows::Flow;
use tokio::process::Child;

use crate::conditions::Conditions;
use crate::sweep::Sweep;

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

/// A command that is cut, on a machine in the state that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Create,
    Start,
    Provision,
    RegenerateCerts,
    Remove,
}

impl Command {
    fn argv(self, flow: &Flow) -> Vec<String> {
        let words = match self {
            Self::Create => {
                let mut argv = vec!["create".to_owned()];
                argv.extend(flow.flags());
                argv.push("m1".to_owned());
                return argv;
            }
            Self::Start => vec!["start", "m1"],
            Self::Provision => vec!["provision", "m1"],
            Self::RegenerateCerts => vec!["regenerate-certs", "-f", "m1"],
            Self::Remove => vec!["rm", "-y", "m1"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// A lab with the machine that the command wants to find.
    async fn prepared(self) -> Flow {
        let flow = Flow::start().await;
        if self != Self::Create {
            flow.create("m1", &[]).await.ok();
        }
        if self == Self::Start {
            flow.home.run(["stop", "m1"]).await.ok();
        }
        flow.lab.clear_calls();
        flow
    }

    /// Learns the calls that the command makes, in order.
    async fn calls(self) -> Vec<String> {
        let flow = self.prepared().await;
        flow.home.run(self.argv(&flow)).await.ok();
        let calls = flow.lab.calls().into_iter().map(|call| call.action);
        let calls = calls.collect();
        if self != Self::Remove {
            flow.home.run(["rm", "-y", "m1"]).await.ok();
        }
        flow.assert_clean();
        calls
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Cuts a command at its n-th call, then removes the machine, and looks at what is left.
async fn cut(command: Command, call: usize, cut: Cut, conditions: Conditions) {
    let flow = command.prepared().await;
    conditions.over(&flow.lab);
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
    let argv = command.argv(&flow);
    match cut {
        Cut::KilledBefore | Cut::KilledAfter => {
            let mut child = flow.home.start(argv);
            gate.arrived(1).await;
            child.kill().await.unwrap();
            gate.open();
        }
        Cut::Terminated => {
            let mut child = flow.home.start(argv);
            gate.arrived(1).await;
            terminate(&child);
            gate.open();
            let status = child.wait().await.unwrap();
            if command == Command::Create {
                assert!(!status.success(), "a create that was told to end says so");
                // It has rolled back by itself, unless it cannot see what it has launched.
                if conditions != Conditions::Blind {
                    flow.assert_clean();
                }
            }
        }
        // Once need not be enough to fail it: a call is made again, or its outcome is found.
        Cut::Dropped | Cut::AnswerLost | Cut::Refused => {
            flow.home.run(argv).await;
        }
    }
    assert_eq!(flow.lab.hits(fault), 1, "it was cut where it should be");
    if flow.home.machine("m1").exists() {
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        assert!(removed.out.contains("Successfully removed m1"), "{removed}");
    }
    // What nobody could be certain of at once is on record, and is settled once it can be seen. A launch that
    // never happened stays there until the process's own clock, which nobody moves, says that it is old.
    if flow.home.tombstones() > 0 {
        flow.lab.clock().advance(Duration::from_secs(6 * 60));
        flow.lab.heal();
        flow.home.run(["prune", "--force"]).await;
    }
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
    assert_eq!(crate::store::machines(&flow.home), Vec::<String>::new());
}

async fn matrix(commands: &[Command], conditions: Conditions) {
    let mut sweep = Sweep::default();
    for command in commands {
        let calls = command.calls().await;
        // What was not launched cannot be looked for in vain.
        let first = match conditions {
            Conditions::Blind => calls.iter().position(|call| call == "RunInstances"),
            _ => Some(0),
        };
        for (call, action) in calls.iter().enumerate().skip(first.unwrap()) {
            for way in CUTS {
                let name = format!("{command:?}, {way:?} at call {call} ({action})");
                sweep.add(name, cut(*command, call, way, conditions));
            }
        }
    }
    sweep
        .make(&format!(
            "{commands:?} at every call of EC2, {conditions:?}"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_cut_at_any_call_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Fair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_what_is_fresh_cannot_be_seen() {
    matrix(&[Command::Create], Conditions::Flickering).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_ec2_shows_no_fresh_instance_for_its_whole_window() {
    matrix(&[Command::Create], Conditions::Blind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_ec2_is_throttled() {
    matrix(&[Command::Create], Conditions::Throttled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_every_call_is_delivered_twice() {
    matrix(&[Command::Create], Conditions::Twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_or_a_removal_cut_at_any_call_leaves_nothing_behind() {
    matrix(&[Command::Start, Command::Remove], Conditions::Fair).await;
    for command in [Command::Provision, Command::RegenerateCerts] {
        // Where EC2 is not asked, it cannot cut anything off.
        assert_eq!(command.calls().await, Vec::<String>::new());
    }
}
