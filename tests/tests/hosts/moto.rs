//! The same flows with moto, an independent EC2 implementation: on simulated hosts, and a whole life on a real Debian
//! host with stock docker clients.
//!
//! moto does not support the following, so only the lab tests it:
//!
//! - time: its instances run and stop at once, it forgets and hides nothing, and no spot instance is reclaimed;
//! - refusals: no throttling, no capacity shortage, no quotas, no prices; every key is valid for everything, so
//!   neither policies nor expired credentials have an effect;
//! - lost answers: it drops no connections, and a client token does not prevent a second launch;
//! - hosts: it has none, so RebootInstances reaches no host, and GetConsoleOutput has no output;
//! - addresses: it chooses them freely. Private ones in a subnet of loopback have a host here; public and IPv6 ones
//!   belong to other hosts and are not connected to.

use ec2_lab::ec2::Lab;
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use machine_tests::containers;
use machine_tests::flows::{Home, endpoint_flags};
use machine_tests::moto::Moto;
use machine_tests::real_hosts::RealHosts;
use machine_tests::suite::Suite;

const WHAT: &str = "the flow at moto";

/// Runs flows on moto with simulated hosts, in a block of loopback that a lab reserves.
async fn at_moto(suite: impl AsyncFn(Suite<'_>)) {
    let Some(moto) = Moto::start(WHAT).await else {
        return;
    };
    let block = Lab::builder().loopback().start().await.unwrap();
    let subnet = moto.add_subnet(block.vpc_cidr()).await;
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let home = Home::new();
    let mut flags = endpoint_flags(&moto.endpoint());
    flags.push("--amazonec2-ami=ami-1e749f67".to_owned());
    flags.push(format!("--amazonec2-subnet-id={subnet}"));
    flags.push("--amazonec2-ssh-port=2222".to_owned());
    let suite = suite(Suite {
        home: &home,
        hosts: &hosts,
        flags,
        restarts: false,
    });
    tokio::select! {
        () = moto.follow(&hosts, &home) => {}
        () = suite => {}
    }
    assert_clean(&moto, &home).await;
}

async fn assert_clean(moto: &Moto, home: &Home) {
    for instance in moto.instances().await {
        assert!(
            matches!(instance.state.as_str(), "terminated" | "shutting-down"),
            "{instance:?}"
        );
    }
    let keys = moto.call("DescribeKeyPairs").await;
    assert!(!keys.contains("<keyName>"), "{keys}");
    assert_eq!(home.directories(), Vec::<String>::new());
    assert_eq!(home.tombstones(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_from_create_to_rm() {
    at_moto(async |suite: Suite<'_>| suite.life().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_passes_streams_and_exit_status_through() {
    at_moto(async |suite: Suite<'_>| suite.streams().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_with_different_options_can_coexist() {
    at_moto(async |suite: Suite<'_>| suite.variety().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_create_leaves_nothing() {
    at_moto(async |suite: Suite<'_>| suite.refusals().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_at_moto_runs_containers() {
    let Some(moto) = Moto::start(WHAT).await else {
        return;
    };
    let Some(hosts) = RealHosts::prepare(WHAT).await else {
        return;
    };
    let home = Home::new();
    tokio::select! {
        () = moto.follow(&hosts, &home) => {}
        () = life(&moto, &home) => {}
    }
}

async fn life(moto: &Moto, home: &Home) {
    let mut create = vec!["create".to_owned()];
    create.extend(endpoint_flags(&moto.endpoint()));
    create.extend(["--amazonec2-ami=ami-1e749f67", "m1"].map(str::to_owned));
    let created = home.run(create).await.ok();
    created.tell_time("at moto on a real host, its boot included");

    let listed = home.run(["ls"]).await.ok();
    let table = listed.table();
    let row = &table[1];
    assert_eq!(row[..4], ["m1", "-", "amazonec2", "Running"], "{listed}");
    assert!(row[4].starts_with("tcp://172.31."), "{listed}");
    assert!(row[5].starts_with("v20.10"), "{listed}");

    containers::run(home, "m1").await;

    // A stop and start of the instance: its disk survives.
    home.run(["stop", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Stopped\n");
    // The host goes off when the follower has seen moto's state; then the host no longer answers.
    let mut looks = 0;
    while home.run(["config", "m1"]).await.code == Some(0) {
        looks += 1;
        assert!(looks < 200, "a stopped machine still answers");
    }
    home.run(["config", "m1"])
        .await
        .failed(1, &["Host is not running"]);
    home.run(["start", "m1"]).await.ok();
    assert_eq!(home.run(["status", "m1"]).await.ok().out, "Running\n");
    containers::run(home, "m1").await;

    home.run(["rm", "-y", "m1"]).await.ok();
    assert_clean(moto, home).await;
}
