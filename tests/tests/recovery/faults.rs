//! `config`, `url` and `stop` while EC2, or the machine, fails.

use ec2_lab::ec2::{ACCESS_KEY, Effect, Fault, Gate, KeyState};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_ec2_do_not_affect_a_healthy_machine() {
    let mut flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow.lab.clear_calls();
    let troubles = [
        ("down", Some(Effect::Drop)),
        ("slow", Some(Effect::Hold(Gate::new()))),
        (
            "throttled",
            Some(Effect::Error {
                code: "RequestLimitExceeded".to_owned(),
                message: String::new(),
                status: None,
            }),
        ),
        ("without credentials", None),
    ];
    for (faults, effect) in troubles {
        match effect {
            Some(effect) => {
                flow.lab.inject(Fault::on("*", effect).always());
            }
            None => {
                flow.lab.set_key_state(ACCESS_KEY, KeyState::Inactive);
                flow.home.unset("AWS_ACCESS_KEY_ID");
                flow.home.unset("AWS_SECRET_ACCESS_KEY");
            }
        }
        flow.home.run(["config", "m1"]).await.ok();
        let url = flow.home.run(["url", "m1"]).await.ok();
        assert!(url.out.ends_with(":2376\n"), "{faults}: {url}");
        flow.lab.heal();
    }
    assert_eq!(flow.lab.calls().len(), 0, "EC2 was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_machine_is_reported_without_an_answer_of_ec2() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let instance = flow.lab.live_instances().remove(0).id;
    assert!(flow.lab.shut_down_from_inside(&instance));
    // EC2 returns the state.
    flow.home
        .run(["config", "m1"])
        .await
        .failed(1, &["Host is not running"]);
    flow.home
        .run(["url", "m1"])
        .await
        .failed(1, &["Host is not running"]);
    // EC2 does not answer: the commands time out. The gate never opens.
    flow.lab
        .inject(Fault::on("*", Effect::Hold(Gate::new())).always());
    let address = "2376";
    flow.home.run(["config", "m1"]).await.failed(1, &[address]);
    flow.home.run(["url", "m1"]).await.failed(1, &[address]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_address_is_not_mistaken_for_its_former_machine() {
    let flow = Flow::with(HostOptions::default(), |lab| lab.reuse_addresses()).await;
    flow.create("m1", &[]).await.ok();
    let first = flow.home.run(["url", "m1"]).await.ok();
    // The machine is removed without the store, and the next one gets its address.
    let kept = flow.home.path().join("m1");
    let machine = flow.home.machine("m1");
    let mut cp = tokio::process::Command::new("cp");
    cp.args(["-a".as_ref(), machine.as_os_str(), kept.as_os_str()]);
    flow.home.end(cp, b"").await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.create("m2", &[]).await.ok();
    std::fs::rename(&kept, &machine).unwrap();
    let second = flow.home.run(["url", "m2"]).await.ok();
    assert_eq!(first.out, second.out);

    flow.home.run(["config", "m2"]).await.ok();
    let config = flow.home.run(["config", "m1"]).await;
    assert_eq!(config.code, Some(1), "{config}");
    assert_eq!(config.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_spot_instance_is_an_error() {
    let flow = Flow::start().await;
    flow.create("m1", &["--amazonec2-request-spot-instance"])
        .await
        .ok();
    flow.home
        .run(["stop", "m1"])
        .await
        .failed(1, &["spot instance", "cannot be stopped"]);
    flow.home.run(["config", "m1"]).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
