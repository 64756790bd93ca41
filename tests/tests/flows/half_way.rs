//! A failed create removes the resources that it created, and reports the ones that it could not remove.

use std::time::Duration;

use ec2_lab::ec2::{Denial, Fault, Shortage};
use ec2_lab::hosts::{DockerAtBoot, HostOptions, Moment};
use machine_tests::flows::Flow;

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_of_docker_leaves_nothing() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::Missing,
        install_fails: Some("E: Unable to fetch some archives".to_owned()),
        ..HostOptions::default()
    })
    .await;
    let ended = flow.create("m1", &[]).await;
    ended.failed(
        1,
        &["E: Unable to fetch some archives", "https://get.docker.com"],
    );
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_docker_is_installed() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::Missing,
        ..HostOptions::default()
    })
    .await;
    flow.create("m1", &[]).await.ok();
    assert_eq!(flow.host().counts().installations, 1);
    flow.home.run(["config", "m1"]).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_of_dockerd_quotes_its_journal() {
    let line = "failed to start daemon: error initializing graphdriver";
    let flow = Flow::with_hosts(HostOptions {
        docker_start_fails: Some(line.to_owned()),
        ..HostOptions::default()
    })
    .await;
    // The error quotes the journal, which contains the cause.
    flow.create("m1", &[]).await.failed(1, &[line]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ends_before_sshd_starts_ends_the_create() {
    let flow = Flow::with_hosts(HostOptions {
        listens: Moment::WhenTold,
        ..HostOptions::default()
    })
    .await;
    let ends = async {
        flow.lab
            .until(|lab| !lab.live_instances().is_empty() && lab.count("RunInstances") == 1)
            .await;
        let id = flow.lab.live_instances()[0].id.clone();
        flow.lab.until(|_| flow.hosts.host(&id).is_some()).await;
        assert!(flow.lab.reclaim(&id));
        id
    };
    let (ended, id) = tokio::join!(flow.create("m1", &[]), ends);
    // The create does not wait for the SSH timeout.
    assert!(ended.took < Duration::from_secs(60), "{ended}");
    ended.failed(1, &[&id, "Server.SpotInstanceTermination"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_capacity_leaves_nothing() {
    let flow = Flow::start().await;
    flow.lab
        .shortage(Shortage::new("InsufficientInstanceCapacity"));
    let ended = flow.create("m1", &[]).await;
    ended.failed(1, &["InsufficientInstanceCapacity"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_launch_names_call_and_permission() {
    let flow = Flow::start().await;
    flow.lab.deny(Denial::of("ec2:RunInstances"));
    // The error names the call and the permission.
    let ended = flow.create("m1", &[]).await;
    ended.failed(1, &["UnauthorizedOperation", "RunInstances"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unremovable_resource_is_reported_and_a_later_rm_finds_it() {
    let flow = Flow::with_hosts(HostOptions {
        docker: DockerAtBoot::Missing,
        install_fails: Some("E: Unable to fetch some archives".to_owned()),
        ..HostOptions::default()
    })
    .await;
    let refusal = flow
        .lab
        .inject(Fault::error("TerminateInstances", "UnauthorizedOperation").always());
    let ended = flow.create("m1", &[]).await;
    let id = flow.lab.live_instances()[0].id.clone();
    let ended = ended.failed(1, &["E: Unable to fetch", "left behind", &id]);
    // The first failure comes first in the error.
    let (cause, left) = (ended.err.find("E: Unable"), ended.err.find("left behind"));
    assert!(cause < left, "{ended}");
    assert_eq!(flow.home.directories(), ["m1"]);

    let kept = flow.home.run(["rm", "-y", "m1"]).await;
    kept.failed(1, &[&id]);
    assert_eq!(flow.home.directories(), ["m1"]);

    flow.lab.remove_fault(refusal);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_of_an_instance_that_is_gone_succeeds() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let id = flow.lab.live_instances()[0].id.clone();
    assert!(flow.lab.reclaim(&id));
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
    flow.home
        .run(["rm", "-y", "never-was"])
        .await
        .failed(1, &["never-was"]);
}
