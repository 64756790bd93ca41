//! `rm` of a machine without readable records: its tags identify its resources, or it stays.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ec2_lab::ec2::{Denial, Effect, Fault, Gate};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, REGION};

use crate::fixture::{Command, Ended, Fixture, NAME};

/// The remaining contents of a file after an accident.
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

/// Removes a machine's configuration and journal.
fn spoil_both(flow: &Flow, name: &str) {
    let machine = flow.home.machine(name);
    spoil(&machine.join("config.json"), Some(""));
    spoil(&machine.join(".journal"), None);
}

/// Sets the region of the machines in the environment.
fn point(flow: &mut Flow) {
    flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
    flow.home.set("AWS_DEFAULT_REGION", REGION);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_removed_by_its_tags_in_the_environments_region() {
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
async fn its_detached_volume_is_left_to_prune_as_with_a_journal() {
    for by_tags in [false, true] {
        let mut flow = Flow::start().await;
        flow.create("m1", &[]).await.ok();
        flow.create("m2", &[]).await.ok();
        let instances = flow.lab.live_instances();
        let is_first = |id: &str| {
            flow.lab
                .tags(id)
                .get("Name")
                .is_some_and(|name| name == "m1")
        };
        let instance = instances
            .iter()
            .find(|instance| is_first(&instance.id))
            .unwrap();
        let volume = flow.lab.detach_root_volume(&instance.id).unwrap();
        if by_tags {
            spoil_both(&flow, "m1");
            point(&mut flow);
        }
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        assert_eq!(removed.out.contains("left to prune"), by_tags, "{removed}");
        assert!(!flow.home.machine("m1").exists());
        assert_eq!(flow.lab.live_instances().len(), 1);
        let has_volume = || flow.lab.volumes().iter().any(|one| one.id == volume);
        assert!(has_volume());
        let prune = ["prune", "--force", "--older-than=0s"];
        flow.home.run(prune).await.ok();
        assert!(!has_volume());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_use_the_scopes_and_keys_of_other_machines() {
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
async fn a_users_name_tag_removes_no_other_machine() {
    let mut flow = Flow::start().await;
    flow.create("m1", &["--amazonec2-tags=Name,worker"])
        .await
        .ok();
    // Its instance has the first machine's name in its tag `Name`.
    flow.create("m2", &["--amazonec2-tags=Name,m1"]).await.ok();
    // So has one of another store.
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
async fn without_tags_the_machine_stays() {
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
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        flow.home.set(variable, "eu-west-1");
        flow.home
            .run(["rm", "-y", "m1"])
            .await
            .failed(1, &["config.json", "nothing in eu-west-1"]);
    }
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
async fn resources_found_by_tags_are_recorded_if_ec2_refuses() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    spoil_both(&flow, "m1");
    point(&mut flow);
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["TerminateInstances", "(refused)"]);
    // A missing answer does not count as a refusal.
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
async fn a_recent_key_pair_may_have_an_invisible_instance() {
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

/// Makes two machines of one name and store, each in its own region, with files of the later one only.
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
async fn an_unreachable_region_may_have_more_resources() {
    let flow = in_two_regions().await;
    let denied = Fault::error("DescribeInstances", "UnauthorizedOperation")
        .when(|call| call.region == REGION)
        .always();
    flow.lab.inject(denied);
    // Repetitions do not change the result: the resources found elsewhere are not the whole machine.
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
async fn force_removes_tagged_resources_and_records_the_rest() {
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
    // The machine does not count as removed.
    flow.lab.heal();
    let listed = flow
        .home
        .run(["prune", "--force", "--older-than=0s"])
        .await
        .failed(1, &["whatever was made for m1"]);
    assert_eq!(flow.home.tombstones(), 1, "{listed}");
    assert_eq!(flow.lab.live_instances().len(), 1, "{listed}");
}

/// Makes machines whose `Name` names others, and whose key pairs contain no name.
async fn with_misleading_name(flow: &Flow, name: &str) {
    let tagging = Denial::of("ec2:CreateTags").on_resource("key-pair");
    flow.lab.deny(tagging);
    flow.create(name, &["--amazonec2-tags=Name,m1"]).await.ok();
    flow.lab.heal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_name_tag_proves_nothing_next_to_an_unreadable_machine() {
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
    // Once the other one is readable, the owners are known.
    fs::write(&second, whole).unwrap();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_created_meanwhile_is_kept() {
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
async fn an_undo_by_tags_times_out_under_permanent_throttling() {
    let mut fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    spoil_both(&fixture.flow, NAME);
    fixture.set_speedup(200);
    fixture
        .lab()
        .inject(Fault::error("TerminateInstances", "RequestLimitExceeded").always());
    let begun = fixture.lab().clock().now();
    let Ended::Failed(why) = fixture.run(Command::Remove).await else {
        panic!("the machine must not be gone")
    };
    let took = fixture.lab().clock().now().duration_since(begun).unwrap();
    // Throttled calls are repeated for ten minutes; an undo has forty.
    assert!(took < Duration::from_secs(45 * 60), "{took:?}");
    assert!(why.contains("RequestLimitExceeded"), "{why}");
    assert!(fixture.flow.home.machine(NAME).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_slow_answers_of_ec2() {
    let mut fixture = Fixture::new().await;
    fixture.run(Command::Create).await.ok();
    fixture.set_speedup(200);
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
