//! Upper limits for the countable costs of a command: EC2 calls, connections, restarts.

use std::collections::BTreeMap;

use ec2_lab::ec2::{Effect, Fault, Gate};
use ec2_lab::hosts::DockerAtBoot;
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, Home};

fn total(counts: &BTreeMap<String, usize>) -> usize {
    counts.values().sum()
}

async fn create_with_ids(flow: &Flow, name: &str) {
    create_in(&flow.home, flow, name).await;
}

async fn create_in(home: &Home, flow: &Flow, name: &str) {
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags_with_ids());
    argv.push(name.to_owned());
    home.run(argv).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_with_every_id_given_stays_within_its_budget() {
    let flow = Flow::start().await;
    create_with_ids(&flow, "m1").await;
    let calls = flow.lab.counts();
    assert!(total(&calls) <= 5, "{calls:?}");
    assert!(
        calls.get("DescribeInstances").copied().unwrap_or_default() <= 2,
        "{calls:?}"
    );
    assert_eq!(calls["RunInstances"], 1);
    let host = flow.host().counts();
    assert_eq!(host.ssh_connections, 1, "{host:?}");
    assert_eq!(host.docker_restarts, 1, "{host:?}");
    assert_eq!(host.installations, 0);
}

/// The reads before a launch are concurrent: EC2 answers none of them before all have arrived.
#[tokio::test(flavor = "multi_thread")]
async fn reads_before_the_launch_are_concurrent() {
    let flow = Flow::start().await;
    create_with_ids(&flow, "m1").await;
    let is_read = |action: &&String| action.starts_with("Describe");
    let counts = flow.lab.counts();
    let reads: Vec<String> = counts.keys().filter(is_read).cloned().collect();
    assert!(reads.len() >= 2, "{counts:?}");
    let gate = Gate::new();
    for action in &reads {
        flow.lab
            .inject(Fault::on(action.as_str(), Effect::Hold(gate.clone())));
    }
    // A separate store: this one has cached the answers.
    let home = Home::new();
    let created = create_in(&home, &flow, "m2");
    let all = u32::try_from(reads.len()).unwrap();
    let answering = async {
        gate.arrived(all).await;
        gate.open();
    };
    tokio::join!(created, answering);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_installs_docker_restarts_it_at_most_once() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::Missing,
        ..HostOptions::default()
    })
    .await;
    create_with_ids(&flow, "m1").await;
    let host = flow.host().counts();
    assert_eq!(host.ssh_connections, 1, "{host:?}");
    assert_eq!(host.installations, 1);
    // The package starts Docker once.
    assert!(host.docker_restarts <= 1, "{host:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_runner_on_a_live_machine_make_no_call() {
    let flow = Flow::start().await;
    create_with_ids(&flow, "m1").await;
    let connections = flow.host().counts().ssh_connections;
    flow.lab.clear_calls();
    for argv in [
        &["config", "m1"][..],
        &["url", "m1"],
        &["inspect", "m1"],
        &["ip", "m1"],
        &["env", "m1"],
        &["ls", "-q"],
    ] {
        flow.home.run(argv).await.ok();
        assert_eq!(flow.lab.counts(), BTreeMap::new(), "{argv:?}");
    }
    assert_eq!(flow.host().counts().ssh_connections, connections);
    flow.home.run(["status", "m1"]).await.ok();
    assert!(total(&flow.lab.counts()) <= 1, "{:?}", flow.lab.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_makes_one_call() {
    let flow = Flow::start().await;
    for name in ["m1", "m2", "m3"] {
        create_with_ids(&flow, name).await;
    }
    flow.lab.clear_calls();
    let listed = flow.home.run(["ls"]).await.ok();
    assert_eq!(listed.out.matches("Running").count(), 3, "{listed}");
    assert_eq!(
        flow.lab.counts(),
        BTreeMap::from([("DescribeInstances".to_owned(), 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_makes_only_the_calls_that_it_needs() {
    let flow = Flow::start().await;
    create_with_ids(&flow, "m1").await;
    flow.lab.clear_calls();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    let calls = flow.lab.counts();
    assert_eq!(calls.get("TerminateInstances"), Some(&1), "{calls:?}");
    assert_eq!(calls.get("DeleteKeyPair"), Some(&1), "{calls:?}");
    assert!(total(&calls) <= 4, "{calls:?}");
    flow.assert_clean();
}
