//! `rm` of a machine of which nothing on the disk tells: the tags do, or it stays.

use std::fs;
use std::path::Path;

use ec2_lab::ec2::{Denial, Effect, Fault};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, REGION};

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
    flow.home.run(["prune", "--force"]).await;
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
