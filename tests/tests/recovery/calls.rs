//! Fault injection at every EC2 call of the real process: kill, signal, refusal, lost answer.

use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};
use machine_tests::flows::Flow;
use tokio::process::Child;

use crate::conditions::Conditions;
use crate::sweep::Sweep;

/// A fault at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Killed before EC2 executes the call.
    KilledBefore,
    /// Killed after EC2 has executed the call, before it answers.
    KilledAfter,
    /// The connection is dropped before EC2 executes the call, once.
    Dropped,
    /// EC2 executes the call, and the answer is lost, once.
    AnswerLost,
    /// EC2 refuses permanently.
    Refused,
    /// SIGTERM during the call; then EC2 executes it and answers.
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

/// A command under fault injection, and the machine state that it requires.
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

    /// Starts a lab with the machine that the command requires.
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

    /// Records the command's calls, in order.
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

/// Injects a fault at the n-th call of a command, then removes the machine, and checks for leftovers.
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
                assert!(!status.success(), "a terminated create must fail");
                // It has rolled back by itself, unless it cannot see its launched instance.
                if conditions != Conditions::Blind {
                    flow.assert_clean();
                }
            }
        }
        // One fault may not make it fail: a call is retried, or its outcome is found.
        Cut::Dropped | Cut::AnswerLost | Cut::Refused => {
            flow.home.run(argv).await;
        }
    }
    assert_eq!(
        flow.lab.hits(fault),
        1,
        "the fault must hit exactly one call"
    );
    if flow.home.machine("m1").exists() {
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        assert!(removed.out.contains("Successfully removed m1"), "{removed}");
    }
    // Resources of unknown outcome are in the journal, and are resolved once EC2 shows them. A launch that never
    // happened stays there until it is old by the process's own clock, which the test cannot advance.
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
        // Without a launched instance, no lookup can fail.
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
async fn a_create_interrupted_at_any_call_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Fair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_flickering_resources_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Flickering).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_invisible_instances_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Blind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_under_throttling_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Throttled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_duplicated_calls_leaves_nothing_behind() {
    matrix(&[Command::Create], Conditions::Twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_or_removal_interrupted_at_any_call_leaves_nothing_behind() {
    matrix(&[Command::Start, Command::Remove], Conditions::Fair).await;
    for command in [Command::Provision, Command::RegenerateCerts] {
        // A command without calls to EC2 cannot fail at one.
        assert_eq!(command.calls().await, Vec::<String>::new());
    }
}
