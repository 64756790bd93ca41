//! Every process of the fleeting plugin killed at every step of a create: the next plugin finds or removes everything.

use std::collections::BTreeMap;
use std::time::Duration;

use ec2_lab::ec2::{Effect, Fault, Gate};
use ec2_lab::hosts::ExecFault;
use machine_tests::fleeting;
use machine_tests::flows::Flow;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::sweep::Sweep;

/// The moment at which everything is killed.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// Before EC2 executes the n-th call.
    Before(u32),
    /// After EC2 has executed the n-th call, before it answers.
    After(u32),
    /// During the n-th command on the host.
    OnHost(u64),
}

/// Returns the calls of a create to EC2, and the number of its commands on the host.
async fn steps() -> Option<(Vec<String>, u64)> {
    let flow = Flow::start().await;
    let host = fleeting::pool(&flow, json!({})).await?;
    flow.lab.clear_calls();
    host.increase(1).await.ok();
    let running = host.until_running(1).await;
    let calls = flow.lab.calls().into_iter().map(|call| call.action);
    let calls = calls.collect();
    let commands = flow.host().counts().execs.len();
    host.decrease(running.keys()).await.ok();
    host.until_none().await;
    host.stop().await;
    flow.assert_clean();
    Some((calls, commands as u64))
}

async fn cut(cut: Cut) {
    let flow = Flow::start().await;
    if let Cut::OnHost(command) = cut {
        flow.hosts.plan(move |_, options| {
            options.exec_faults = BTreeMap::from([(command, ExecFault::Hang)]);
        });
    }
    let mut host = fleeting::pool(&flow, json!({})).await.unwrap();
    let gate = Gate::new();
    let held = |effect: Effect, calls: u32| Fault::on("*", effect).after(calls);
    match cut {
        Cut::Before(calls) => {
            flow.lab.inject(held(Effect::Hold(gate.clone()), calls));
        }
        Cut::After(calls) => {
            flow.lab
                .inject(held(Effect::HoldAnswer(gate.clone()), calls));
        }
        Cut::OnHost(_) => {}
    }
    host.increase(1).await.ok();
    match cut {
        Cut::Before(_) | Cut::After(_) => gate.arrived(1).await,
        Cut::OnHost(command) => until_executed(&flow, command).await,
    }
    for id in fleeting::processes(&flow.home).into_keys() {
        let id = Pid::from_raw(id.try_into().unwrap()).unwrap();
        // The host may have ended meanwhile.
        let _ = kill_process(id, Signal::KILL);
    }
    host.kill().await;
    fleeting::all_gone(&flow.home).await;
    gate.open();

    flow.hosts.plan(|_, options| options.exec_faults.clear());
    let host = fleeting::pool(&flow, json!({})).await.unwrap();
    let is_settled = |state: &String| state == "running" || state == "deleted";
    let found = host.until(|states| states.values().all(is_settled)).await;
    let running = found.iter().filter(|(_, state)| *state == "running");
    let running: Vec<_> = running.map(|(id, _)| id).collect();
    assert_eq!(flow.home.directories().len(), running.len(), "{found:?}");
    if !running.is_empty() {
        host.run(running[0], "true").await.ok();
        host.decrease(running).await.ok();
    }
    host.until_none().await;
    host.stop().await;
    fleeting::all_gone(&flow.home).await;
    // A call of unknown outcome is in the journal, and is resolved once EC2 shows its result.
    if flow.home.tombstones() > 0 {
        flow.lab.clock().advance(Duration::from_secs(6 * 60));
        flow.home.run(["prune", "--force"]).await;
    }
    assert_eq!(flow.lab.left_over(), Vec::<String>::new());
    assert_eq!(crate::store::machines(&flow.home), Vec::<String>::new());
}

/// Waits until the only host has received this many commands.
async fn until_executed(flow: &Flow, commands: u64) {
    flow.lab.until(|_| !flow.hosts.hosts().is_empty()).await;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while (flow.host().counts().execs.len() as u64) < commands {
        tick.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_killed_at_any_step_of_a_create_leaves_nothing_behind() {
    let Some((calls, commands)) = steps().await else {
        return;
    };
    let mut sweep = Sweep::default();
    for (number, action) in (0..).zip(&calls) {
        for way in [Cut::Before(number), Cut::After(number)] {
            sweep.add(format!("{way:?} ({action})"), cut(way));
        }
    }
    for command in 1..=commands {
        let way = Cut::OnHost(command);
        sweep.add(format!("{way:?}"), cut(way));
    }
    sweep.make("every process of the plugin killed").await;
}
