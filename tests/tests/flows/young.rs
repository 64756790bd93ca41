//! A machine during its creation, as operators and scripts see it.

use std::time::Duration;

use ec2_lab::ec2::Clock;
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
    let config = flow.home.machine("m1").join("config.json");
    let has_id = || {
        let text = std::fs::read_to_string(&config).unwrap_or_default();
        text.contains("\"InstanceId\": \"i-")
    };
    flow.lab.until(|_| has_id()).await;
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
