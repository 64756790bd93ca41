//! `contrib/aws-check`, the check for a maintainer's AWS account, against the lab and against moto.

use std::path::Path;
use std::process::Output;

use ec2_lab::ec2::{ACCESS_KEY, Lab};
use ec2_lab::hosts::{HostOptions, SimulatedHosts};
use machine_tests::flows::{Flow, Home};
use machine_tests::moto::Moto;

const WHAT: &str = "aws-check";

/// Runs the check at an endpoint; `None` if Python has no boto3.
async fn run(endpoint: &str, options: &[&str]) -> Option<Output> {
    let Some(python) = std::env::var_os("EC2_LAB_PYTHON") else {
        machine_tests::left_out(WHAT, "no python with boto3: EC2_LAB_PYTHON");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/aws-check");
    let output = tokio::process::Command::new(python)
        .arg(script)
        .args(["--region=us-east-1", "--endpoint", endpoint])
        .arg("--docker-machine")
        .arg(machine_tests::binary())
        .args(options)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .await;
    Some(output.unwrap())
}

/// Returns the rows of the table: kind and result.
fn rows(output: &Output) -> Vec<(String, String)> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .skip_while(|line| !line.starts_with("KIND"))
        .skip(1)
        .take_while(|line| !line.contains("left behind"))
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect()
}

const HOSTS_ON_LOOPBACK: [&str; 2] = [
    "--machine-option=--amazonec2-use-private-address",
    "--machine-option=--amazonec2-ssh-port=2222",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_machine_works_at_the_lab() {
    let flow = Flow::start().await;
    let Some(output) = run(&flow.lab.endpoint(), &HOSTS_ON_LOOPBACK).await else {
        return;
    };
    let kinds = [
        "on-demand",
        "debian",
        "amazon-linux",
        "arm64",
        "spot",
        "private",
        "fleet",
    ];
    let expected = kinds.map(|kind| (kind.to_owned(), "ok".to_owned()));
    assert_eq!(rows(&output), expected, "{output:?}");
    assert!(output.status.success(), "{output:?}");
    flow.assert_clean();
    let calls = flow.lab.counts();
    for action in ["DeleteSecurityGroup", "DeleteLaunchTemplate"] {
        assert!(calls.contains_key(action), "{calls:?}");
    }
    let owned = |group: &ec2_lab::ec2::SecurityGroup| {
        flow.lab
            .tags(&group.id)
            .contains_key("docker-machine:store")
    };
    assert!(!flow.lab.security_groups().iter().any(owned));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_in_use_is_not_changed() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let Some(output) = run(&flow.lab.endpoint(), &["--kinds=on-demand"]).await else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        said.contains("carries the tag docker-machine:store"),
        "{said}"
    );
    let status = flow.home.run(["status", "m1"]).await.ok();
    assert_eq!(status.out, "Running\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_work_at_moto() {
    let Some(moto) = Moto::start(WHAT).await else {
        return;
    };
    let block = Lab::builder().loopback().start().await.unwrap();
    let subnet = format!(
        "--machine-option=--amazonec2-subnet-id={}",
        moto.add_subnet(block.vpc_cidr()).await
    );
    let hosts = SimulatedHosts::new(HostOptions::default()).unwrap();
    let home = Home::new();
    let store = home.store().display().to_string();
    // moto has no hosts: stops and starts would have no visible effect.
    let mut options = vec![
        "--kinds=on-demand,arm64,private",
        "--ami=ami-1e749f67",
        "--no-power",
        &subnet,
        "--store",
        &store,
    ];
    options.extend(HOSTS_ON_LOOPBACK);
    let endpoint = moto.endpoint();
    let output = tokio::select! {
        () = moto.follow(&hosts, &home) => unreachable!("following never ends"),
        output = run(&endpoint, &options) => output,
    };
    let Some(output) = output else { return };
    let expected = [("on-demand", "ok"), ("arm64", "skipped"), ("private", "ok")]
        .map(|(kind, result)| (kind.to_owned(), result.to_owned()));
    assert_eq!(rows(&output), expected, "{output:?}");
    assert!(output.status.success(), "{output:?}");
}
