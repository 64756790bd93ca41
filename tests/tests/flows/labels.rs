//! `update-labels`: GitLab Runner's heartbeat on the machines that a manager uses.

use std::collections::BTreeMap;

use ec2_lab::ec2::Denial;
use machine_tests::flows::Flow;

fn tags(flow: &Flow) -> BTreeMap<String, String> {
    let instance = flow.lab.live_instances().swap_remove(0);
    flow.lab.tags(&instance.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_set_and_existing_tags_are_kept() {
    let flow = Flow::start().await;
    flow.create("m1", &["--amazonec2-tags=team,ci"]).await.ok();
    let at_creation = tags(&flow);
    let saved = std::fs::read(flow.home.machine("m1").join("config.json")).unwrap();
    // The runner's command line.
    for beat in ["1700000000", "1700000060"] {
        let label = format!("runner_manager_heartbeat={beat}");
        let argv = [
            "--bugsnag-api-token=no-report",
            "update-labels",
            "--label",
            label.as_str(),
            "m1",
        ];
        let ended = flow.home.run(argv).await.ok();
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
        let mut expected = at_creation.clone();
        expected.insert("runner_manager_heartbeat".into(), beat.into());
        assert_eq!(tags(&flow), expected);
    }
    let two = ["update-labels", "m1", "--label", "a=b=c", "--label=d="];
    flow.home.run(two).await.ok();
    let now = tags(&flow);
    assert_eq!((now["a"].as_str(), now["d"].as_str()), ("b=c", ""));
    let path = flow.home.machine("m1").join("config.json");
    assert_eq!(std::fs::read(path).unwrap(), saved);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_labels_are_refused_without_a_call() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let before = tags(&flow);
    let label = |label: &'static str| ["update-labels", "--label", label, "m1"];
    for wrong in ["", "alone", "=value"] {
        let ended = flow.home.run(label(wrong)).await;
        let said = format!("invalid value {wrong:?} for flag -label: expected KEY=VALUE");
        ended.failed(1, &[&said]);
    }
    let none = flow.home.run(["update-labels", "m1"]).await;
    none.failed(1, &["at least one --label KEY=VALUE is required"]);
    for own in ["Name=x", "docker-machine:store=x", "docker-machine:id=x"] {
        let ended = flow.home.run(label(own)).await;
        let (key, _) = own.split_once('=').unwrap();
        ended.failed(1, &[key, "docker-machine's own"]);
    }
    let unknown = flow
        .home
        .run(["update-labels", "--label=a=b", "nope"])
        .await;
    unknown.failed(1, &["Docker machine \"nope\" does not exist"]);
    assert_eq!(tags(&flow), before);
    assert!(!flow.lab.counts().contains_key("CreateTags"));

    flow.lab.deny(Denial::of("ec2:CreateTags"));
    let ended = flow.home.run(label("a=b")).await;
    ended.failed(1, &["ec2:CreateTags"]);
    assert_eq!(tags(&flow), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_without_labels_fails_with_the_text_that_the_runner_expects() {
    let flow = Flow::start().await;
    let home = &flow.home;
    let none = ["create", "-d", "none", "--url=tcp://127.0.0.1:1", "n"];
    home.run(none).await.ok();
    let ended = home.run(["update-labels", "--label=a=b", "n"]).await;
    ended.failed(1, &["driver does not support labels"]);
}
