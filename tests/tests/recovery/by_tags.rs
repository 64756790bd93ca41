//! `rm` of a machine of which nothing on the disk tells: the tags do, or it stays.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ec2_lab::ec2::{Denial, Effect, Fault, Gate};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, REGION};

use crate::fixture::{Command, Ended, Fixture, NAME};

/// What is left of a file after an accident.
const ACCIDENTS: [(Option<&str>, Option<&str>); 4] = [
    (Some(""), None),
    (Some("{\"ConfigVersion\": 3, \"Dri"), Some("")),
    (None, Some("rubbish\n")),
    (None, None),
];

fn spoil(file: &Path, contents: Option<&str>) {
    match contents {
        Some(text) => fs::write(file, text).unwrap(),
        None => fs::remove_file(file).unwrap(),
    }
}

/// Takes a machine's configuration and journal away.
fn spoil_both(flow: &Flow, name: &str) {
    let machine = flow.home.machine(name);
    spoil(&machine.join("config.json"), Some(""));
    spoil(&machine.join(".journal"), None);
}

/// The environment says where the machines are.
fn point(flow: &mut Flow) {
    flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
    flow.home.set("AWS_DEFAULT_REGION", REGION);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_goes_by_its_tags_where_the_environment_points() {
    for (config, journal) in ACCIDENTS {
        let mut flow = Flow::start().await;
        flow.create("m1", &[]).await.ok();
        let machine = flow.home.machine("m1");
        spoil(&machine.join("config.json"), config);
        spoil(&machine.join(".journal"), journal);
        point(&mut flow);
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        assert!(removed.out.contains("going by the tags"), "{removed}");
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_looked_for_where_the_others_are_and_with_their_keys() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &[]).await.ok();
    spoil_both(&flow, "m1");
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert!(!flow.home.machine("m1").exists());
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["config", "m2"]).await.ok();
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_users_set_takes_no_other_machine_away() {
    let mut flow = Flow::start().await;
    flow.create("m1", &["--amazonec2-tags=Name,worker"])
        .await
        .ok();
    // Its instance says that it is called as the first machine is.
    flow.create("m2", &["--amazonec2-tags=Name,m1"]).await.ok();
    // And so does one of another store.
    let store = flow.home.path().join("other");
    let store = format!("--storage-path={}", store.display());
    let mut argv = vec![store, "create".to_owned()];
    argv.extend(flow.flags());
    argv.extend(["--amazonec2-tags=Name,m1".to_owned(), "m3".to_owned()]);
    flow.home.run(argv).await.ok();
    spoil_both(&flow, "m1");
    point(&mut flow);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert_eq!(flow.lab.live_instances().len(), 2);
    let pairs = flow.lab.key_pairs();
    let names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    assert_eq!(names, ["m2", "m3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forgotten_where_no_tag_tells() {
    let mut flow = Flow::with(HostOptions::default(), |lab| {
        lab.regions([REGION, "eu-west-1"])
    })
    .await;
    flow.create("m1", &[]).await.ok();
    spoil_both(&flow, "m1");
    let machine = flow.home.machine("m1");
    flow.home.run(["rm", "-y", "m1"]).await.failed(
        1,
        &[
            "config.json",
            "whatever was made for m1",
            "AWS_DEFAULT_REGION",
        ],
    );
    flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
    flow.home.set("AWS_DEFAULT_REGION", "eu-west-1");
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["config.json", "nothing in eu-west-1"]);
    flow.home.set("AWS_DEFAULT_REGION", REGION);
    flow.lab.deny(Denial::of("ec2:DescribeInstances"));
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["config.json", "DescribeInstances"]);
    assert!(machine.exists());
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.lab.heal();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tags_told_is_on_record_where_ec2_refuses() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    spoil_both(&flow, "m1");
    point(&mut flow);
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["TerminateInstances", "(refused)"]);
    // What was not answered was not refused.
    flow.lab.heal();
    let silent = flow
        .lab
        .inject(Fault::on("TerminateInstances", Effect::Drop).always());
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["got no answer", "(no answer for now)"]);
    flow.lab.remove_fault(silent);
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    assert!(flow.home.machine("m1").exists());
    flow.home.run(["rm", "-f", "m1"]).await.ok();
    assert!(!flow.home.machine("m1").exists());
    assert_eq!(flow.home.tombstones(), 1);
    flow.lab.heal();
    flow.home.run(["prune", "--force"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pair_of_a_moment_ago_may_have_an_instance() {
    let mut flow = Flow::start().await;
    let gate = flow.lab.hold("RunInstances");
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.push("m1".to_owned());
    let mut child = flow.home.start(argv);
    gate.arrived(1).await;
    child.kill().await.unwrap();
    spoil_both(&flow, "m1");
    point(&mut flow);
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["may not show its instance yet"]);
    assert!(flow.home.machine("m1").exists());
    assert_eq!(flow.lab.key_pairs().len(), 1);
}

/// A pair of machines of one name and store, each in its own region, and files of the later one only.
async fn in_two_regions() -> Flow {
    let mut flow = Flow::with(HostOptions::default(), |lab| {
        lab.regions([REGION, "eu-west-1"])
    })
    .await;
    let elsewhere = [
        "--amazonec2-region=eu-west-1",
        "--amazonec2-zone=eu-west-1a",
    ];
    flow.create("m1", &elsewhere).await.ok();
    fs::rename(flow.home.machine("m1"), flow.home.path().join("old")).unwrap();
    flow.create("m1", &[]).await.ok();
    flow.create("m2", &[]).await.ok();
    spoil_both(&flow, "m1");
    flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
    flow.home.set("AWS_DEFAULT_REGION", "eu-west-1");
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_asked_may_have_the_rest() {
    let flow = in_two_regions().await;
    let denied = Fault::error("DescribeInstances", "UnauthorizedOperation")
        .when(|call| call.region == REGION)
        .always();
    flow.lab.inject(denied);
    // As often as one likes: what was found elsewhere is not the machine.
    for _ in 0..2 {
        flow.home
            .run(["rm", "-y", "m1"])
            .await
            .failed(1, &["config.json", "us-east-1", "DescribeInstances"]);
    }
    assert!(flow.home.machine("m1").exists());
    assert_eq!(flow.lab.live_instances().len(), 3);
    flow.lab.heal();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn force_removes_what_the_tags_told_and_keeps_the_rest_on_record() {
    let flow = in_two_regions().await;
    let denied = Fault::error("DescribeInstances", "UnauthorizedOperation")
        .when(|call| call.region == REGION)
        .always();
    flow.lab.inject(denied);
    let forced = flow.home.run(["rm", "-f", "m1"]).await.ok();
    assert!(forced.err.contains("on record"), "{forced}");
    assert!(forced.err.contains("us-east-1"), "{forced}");
    assert!(!flow.home.machine("m1").exists());
    assert_eq!(flow.lab.live_instances().len(), 2);
    assert_eq!(flow.home.tombstones(), 1);
    // Nobody takes it for settled.
    flow.lab.heal();
    let listed = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["whatever was made for m1"]);
    assert_eq!(flow.home.tombstones(), 1, "{listed}");
    assert_eq!(flow.lab.live_instances().len(), 1, "{listed}");
}

/// Machines whose `Name` says that they are others, and whose key pairs say nothing.
async fn with_misleading_name(flow: &Flow, name: &str) {
    let tagging = Denial::of("ec2:CreateTags").on_resource("key-pair");
    flow.lab.deny(tagging);
    flow.create(name, &["--amazonec2-tags=Name,m1"]).await.ok();
    flow.lab.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_users_set_proves_nothing_beside_a_machine_that_cannot_be_read() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    with_misleading_name(&flow, "m2").await;
    let second = flow.home.machine("m2").join("config.json");
    let whole = fs::read_to_string(&second).unwrap();
    spoil_both(&flow, "m1");
    spoil_both(&flow, "m2");
    point(&mut flow);
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["config.json", "its tag Name", "m2"]);
    assert_eq!(flow.lab.live_instances().len(), 2);
    // Once the other one can be read, it is known whose is whose.
    fs::write(&second, whole).unwrap();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_made_meanwhile_is_its_own() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    spoil_both(&flow, "m1");
    point(&mut flow);
    let gate = Gate::new();
    flow.lab
        .inject(Fault::on("DescribeInstances", Effect::Hold(gate.clone())));
    let mut removal = flow.home.start(["rm", "-y", "m1"]);
    gate.arrived(1).await;
    with_misleading_name(&flow, "m2").await;
    gate.open();
    assert!(removal.wait().await.unwrap().success());
    assert_eq!(flow.home.directories(), ["m2"]);
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_by_tags_ends_in_time_though_ec2_throttles_for_ever() {
    let mut fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    spoil_both(&fixture.flow, NAME);
    fixture.hurry(200);
    fixture
        .lab()
        .inject(Fault::error("TerminateInstances", "RequestLimitExceeded").always());
    let begun = fixture.lab().clock().now();
    let Ended::Badly(why) = fixture.run(Command::Remove).await else {
        panic!("it cannot be gone")
    };
    let took = fixture.lab().clock().now().duration_since(begun).unwrap();
    // Throttled calls are repeated for ten minutes; an undo has forty.
    assert!(took < Duration::from_secs(45 * 60), "{took:?}");
    assert!(why.contains("RequestLimitExceeded"), "{why}");
    assert!(fixture.flow.home.machine(NAME).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_ends_when_ec2_has_answered_however_long_that_takes() {
    let mut fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    fixture.hurry(200);
    for action in ["DeleteKeyPair", "TerminateInstances"] {
        let fault = Fault::error(action, "RequestLimitExceeded");
        fixture.lab().inject(fault.times(25));
    }
    let begun = fixture.lab().clock().now();
    fixture.run(Command::Remove).await.ok();
    let took = fixture.lab().clock().now().duration_since(begun).unwrap();
    assert!(took > Duration::from_secs(180), "{took:?}");
    fixture.flow.assert_clean();
}
