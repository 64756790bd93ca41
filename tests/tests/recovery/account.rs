//! Machines that are gone can be removed from the store: EC2 itself proves the account of the credentials, with or
//! without STS.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::time::Duration;

use ec2_lab::ec2::{ACCOUNT, Denial, Effect, Fault, Instance, InstanceState};
use machine_tests::flows::{Flow, REGION};
use machine_tests::keys;

/// Two hours: EC2 has forgotten ended instances.
const FORGOTTEN: Duration = Duration::from_secs(7200);

/// A command that does not wait for STS: its timeout for a single attempt is longer.
const IMMEDIATE: Duration = Duration::from_secs(10);

/// The message of `rm` for an instance that EC2 does not know any more.
const IS_GONE: &str = "Remote instance does not exist";

/// The endpoint of STS, if it differs from the lab's EC2.
const STS: &str = "AWS_ENDPOINT_URL_STS";

/// Makes a lab, and a home directory whose credentials come from the provider chain: none are in `config.json`.
async fn flow() -> Flow {
    let mut flow = keys::flow().await;
    flow.home.set("AWS_ACCESS_KEY", keys::FOUND);
    flow.home.set("AWS_SECRET_KEY", keys::SECRET);
    flow
}

/// Creates a spot machine that EC2 then reclaims and forgets.
async fn create_and_lose(flow: &Flow, name: &str, more: &[&str]) {
    let before = flow.lab.live_instances();
    let mut flags = vec!["--amazonec2-request-spot-instance"];
    flags.extend(more);
    flow.create(name, &flags).await.ok();
    let is_new = |id: &str| !before.iter().any(|old| old.id == id);
    let live = flow.lab.live_instances().into_iter();
    for instance in live.filter(|instance| is_new(&instance.id)) {
        assert!(flow.lab.reclaim(&instance.id));
    }
    // After its host is off.
    let has_ended = |i: &Instance| i.state != InstanceState::ShuttingDown;
    flow.lab
        .until(|lab| lab.instances().iter().all(has_ended))
        .await;
    flow.lab.clock().advance(FORGOTTEN);
}

/// Directs STS to a port of loopback that accepts connections and never answers, for the lifetime of the listener.
fn silence_sts(flow: &mut Flow) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    flow.home.set(STS, url);
    listener
}

/// Denies every call that proves an account.
fn prove_nothing(flow: &Flow) {
    for action in ["DescribeSecurityGroups", "DescribeInstances"] {
        flow.lab.deny(Denial::of(format!("ec2:{action}")));
    }
}

/// Makes tombstones: of machines whose instances are gone, removed while the account of the credentials is unknown.
async fn bury(flow: &mut Flow, names: &[&str]) {
    for name in names {
        create_and_lose(flow, name, &[]).await;
        flow.home.age_journal(name);
    }
    prove_nothing(flow);
    let sts = flow.home.environment().get(OsStr::new(STS)).cloned();
    flow.home.set(STS, "http://127.0.0.1:1");
    for name in names {
        flow.home.run(["rm", "-y", name]).await.ok();
    }
    assert_eq!(flow.home.tombstones(), names.len());
    match sts {
        Some(url) => flow.home.set(STS, url),
        None => flow.home.unset(STS),
    }
    flow.lab.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_machine_without_its_instance_is_removed() {
    let flow = flow().await;
    flow.create("m1", &[]).await.ok();
    let key = std::fs::read(flow.home.machine("m1").join("id_rsa")).unwrap();
    let key = flow.home.file("key", key);
    let group = flow.lab.security_groups()[0].id.clone();
    let template = [
        ("ImageId", "ami-1e749f67"),
        ("KeyName", "m1"),
        ("SecurityGroupId.1", &group),
    ];
    flow.lab
        .add_launch_template(ACCOUNT, REGION, "workers", &template);
    // Only the description of the instance names the account then.
    flow.lab.deny(Denial::of("ec2:DescribeSecurityGroups"));
    let key = format!("--amazonec2-ssh-keypath={}", key.display());
    let subnet = flow.lab.subnets(ACCOUNT, REGION)[0].id.clone();
    let subnet = format!("--amazonec2-subnet-id={subnet}");
    let fleet = [
        "--amazonec2-use-fleet",
        "--amazonec2-launch-template=workers",
        "--amazonec2-instance-type=t3.small",
        &key,
        &subnet,
    ];
    create_and_lose(&flow, "m2", &fleet).await;
    flow.home.age_journal("m2");
    let removed = flow.home.run(["rm", "-y", "m2"]).await.ok();
    assert!(removed.out.contains(IS_GONE), "{removed}");
    assert_eq!(flow.home.tombstones(), 0);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sts_rm_removes_a_machine_that_is_gone() {
    let mut flow = flow().await;
    let _sts = silence_sts(&mut flow);
    create_and_lose(&flow, "m1", &[]).await;
    flow.home.age_journal("m1");
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert!(removed.out.contains(IS_GONE), "{removed}");
    assert!(removed.took < IMMEDIATE, "{removed}");
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sts_prune_and_create_resolve_tombstones() {
    let mut flow = flow().await;
    let _sts = silence_sts(&mut flow);
    bury(&mut flow, &["m1"]).await;
    let listed = flow.home.run(["prune"]).await.ok();
    assert!(listed.took < IMMEDIATE, "{listed}");
    let pruned = flow.home.run(["prune", "--force"]).await.ok();
    assert!(pruned.took < IMMEDIATE, "{pruned}");
    assert_eq!(flow.home.tombstones(), 0);
    bury(&mut flow, &["m1", "m2"]).await;
    let created = flow.create("m3", &[]).await.ok();
    assert!(created.took < IMMEDIATE, "{created}");
    assert_eq!(flow.home.tombstones(), 0);
    flow.home.run(["rm", "-y", "m3"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sts_doctor_shows_the_account_proven_by_ec2() {
    let mut flow = flow().await;
    flow.home.set(STS, "http://127.0.0.1:1");
    flow.create("m1", &[]).await.ok();
    let told = flow.home.run(["doctor"]).await;
    let told = told.out.lines().find(|line| line.contains("credentials"));
    let told = told.unwrap_or_default();
    assert!(told.contains(&format!("of account {ACCOUNT}")), "{told}");
    assert!(told.contains("from http://127.0.0.1:1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_sts_is_reported_and_called_once() {
    let mut flow = flow().await;
    bury(&mut flow, &["m1", "m2", "m3"]).await;
    prove_nothing(&flow);
    let fault = Fault::on("GetCallerIdentity", Effect::Drop).always();
    let fault = flow.lab.inject(fault);
    let asked = flow.lab.count("GetCallerIdentity");
    flow.home
        .run(["prune", "--force"])
        .await
        .failed(1, &["left behind"]);
    // Including one retry.
    assert_eq!(flow.lab.count("GetCallerIdentity") - asked, 2);
    flow.lab.remove_fault(fault);

    flow.home.set(STS, "http://127.0.0.1:1");
    let pruned = flow.home.run(["prune", "--force"]).await;
    let pruned = pruned.failed(1, &["from http://127.0.0.1:1"]);
    assert!(!pruned.err.contains(&flow.lab.endpoint()), "{pruned}");

    // Without proof from EC2, STS names the account.
    flow.home.unset(STS);
    flow.home.run(["prune", "--force"]).await.ok();
    assert_eq!(flow.home.tombstones(), 0);
}
