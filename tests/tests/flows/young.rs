//! A machine during its creation, as operators and scripts see it.

use std::time::Duration;

use ec2_lab::ec2::{Blindness, Clock, Effect, Fault, Gate, Kind};
use ec2_lab::hosts::{HostOptions, Moment};
use machine_tests::flows::Flow;
use machine_tests::terminal::TIMEOUT;
use serde_json::Value;

const PENDING: Duration = Duration::from_secs(6);

async fn listed(flow: &Flow) -> Value {
    let listed = flow.home.run(["ls", "--format", "json"]).await.ok();
    // One machine, one line.
    serde_json::from_str(listed.out.trim_end()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_during_creation_is_starting_and_no_error() {
    let options = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    let flow = Flow::with(options, |lab| lab.clock(Clock::manual()).pending(PENDING)).await;
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    let mut create = flow.home.start(argv);

    // As soon as the instance's id is on record.
    flow.on_record("m1").await;
    let machine = listed(&flow).await;
    assert_eq!(machine["state"], "Starting", "{machine}");
    assert_eq!(machine["error"], "", "{machine}");
    let status = flow.home.run(["status", "m1"]).await.ok();
    assert_eq!(status.out, "Starting\n");
    let starting = ["ls", "-q", "--filter", "state=Starting"];
    assert_eq!(flow.home.run(starting).await.ok().out, "m1\n");

    // The instance runs, and does not accept logins yet.
    flow.lab.clock().advance(PENDING);
    flow.lab.until(|_| !flow.hosts.hosts().is_empty()).await;
    assert_eq!(listed(&flow).await["state"], "Running");

    flow.let_listen().await;
    let ended = tokio::time::timeout(TIMEOUT, create.wait()).await;
    assert!(ended.expect("still running").unwrap().success());
    let machine = listed(&flow).await;
    let keys: Vec<&String> = machine.as_object().unwrap().keys().collect();
    let promised = "name active driver state url swarm docker error response_ms age_seconds \
                    instance_id instance_type zone spot";
    assert_eq!(keys, promised.split(' ').collect::<Vec<_>>());
    for (key, value) in [
        ("name", "m1"),
        ("driver", "amazonec2"),
        ("state", "Running"),
        ("docker", "29.1.2"),
        ("error", ""),
    ] {
        assert_eq!(machine[key], value, "{machine}");
    }
}

/// The states that `ls` and `status` show, and the error of `ls`.
async fn shown(flow: &Flow) -> (String, String) {
    let machine = listed(flow).await;
    let status = flow.home.run(["status", "m1"]).await.ok().out;
    let state = machine["state"].as_str().unwrap();
    assert_eq!(status.trim_end(), state, "{machine}");
    let error = machine["error"].as_str().unwrap();
    (state.to_owned(), error.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_is_not_answered_yet_is_starting() {
    let flow = Flow::start().await;
    let gate = Gate::default();
    let held = Effect::HoldAnswer(gate.clone());
    flow.lab.inject(Fault::on("RunInstances", held));
    let mut create = flow.home.start(flow.creating("m1", &[]));
    gate.arrived(1).await;
    assert_eq!(shown(&flow).await, ("Starting".into(), String::new()));
    gate.open();
    assert!(create.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ec2_does_not_list_yet_is_starting() {
    let options = HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    };
    let flow = Flow::with_hosts(options).await;
    flow.lab.blind(Kind::Instance, Blindness::whole_window());
    let mut create = flow.home.start(flow.creating("m1", &[]));
    flow.on_record("m1").await;
    assert_eq!(shown(&flow).await, ("Starting".into(), String::new()));
    let ended = flow.home.run(["ssh", "m1", "true"]).await;
    assert!(!ended.err.contains("docker-machine rm"), "{ended}");
    create.kill().await.unwrap();
}
