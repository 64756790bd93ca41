//! `rm` in every state, and the resources that it must keep on record.

use std::fs;
use std::time::Duration;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Denial, KeyState, Lab, OTHER_ACCESS_KEY};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::Flow;

async fn created() -> Flow {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    flow
}

/// Advances beyond EC2's consistency window, for EC2; the process's own clock does not change.
fn later(lab: &Lab) {
    lab.clock().advance(Duration::from_secs(6 * 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_broken_empty_or_missing_configuration_is_removed() {
    for contents in [Some("{\"ConfigVersion\": 3, \"Dri"), Some(""), None] {
        let flow = created().await;
        let config = flow.home.machine("m1").join("config.json");
        match contents {
            Some(text) => fs::write(&config, text).unwrap(),
            None => fs::remove_file(&config).unwrap(),
        }
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        let told = format!("{}{}", removed.out, removed.err);
        assert!(told.contains("going by the journal"), "{removed}");
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn force_keeps_an_unreadable_configuration_on_record() {
    let flow = created().await;
    let machine = flow.home.machine("m1");
    let config = machine.join("config.json");
    fs::remove_file(machine.join(".journal")).unwrap();
    let whole = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        whole.replace("\"ConfigVersion\": 3", "\"ConfigVersion\": \"3\""),
    )
    .unwrap();
    assert_ne!(fs::read_to_string(&config).unwrap(), whole);
    let instance = flow.lab.live_instances().remove(0).id;
    let forced = flow.home.run(["rm", "-f", "m1"]).await.ok();
    assert!(forced.err.contains("on record"), "{forced}");
    assert!(!machine.exists());
    let graves = fs::read_dir(flow.home.store().join(".tombstones")).unwrap();
    let kept: Vec<String> = graves
        .map(|grave| fs::read_to_string(grave.unwrap().path().join("config.json")).unwrap())
        .collect();
    assert!(kept.len() == 1 && kept[0].contains(&instance), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn force_removes_a_machine_without_resources_completely() {
    for contents in [Some(""), None] {
        let flow = Flow::start().await;
        let machine = flow.home.store().join("machines/m1");
        fs::create_dir_all(&machine).unwrap();
        if let Some(text) = contents {
            fs::write(machine.join("config.json"), text).unwrap();
        }
        flow.home.run(["rm", "-f", "m1"]).await.ok();
        assert!(!machine.exists());
        assert_eq!(flow.home.tombstones(), 0);
    }
}

/// Breaks a journal, and returns its original contents.
fn break_journal(flow: &Flow, name: &str) {
    let file = flow.home.machine(name).join(".journal");
    let journal = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("rubbish\n{journal}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_journal_is_replaced_by_configuration_and_tags() {
    for force in ["-y", "-f"] {
        let flow = created().await;
        break_journal(&flow, "m1");
        let removed = flow.home.run(["rm", force, "m1"]).await.ok();
        assert!(
            removed.out.contains("going by the configuration"),
            "{removed}"
        );
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_journal_stays_if_there_may_be_more_resources() {
    let flow = created().await;
    break_journal(&flow, "m1");
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["TerminateInstances"]);
    assert!(flow.home.machine("m1").exists());
    flow.lab.heal();
    // Lookups by tags are denied: the instance in the configuration is gone, and nothing more is certain.
    flow.lab.deny(Denial::of("ec2:DescribeVolumes"));
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    assert!(
        removed.err.contains("whatever was made for m1"),
        "{removed}"
    );
    assert_eq!(flow.lab.live_instances().len(), 0);
    assert_eq!(flow.home.tombstones(), 1);
    // It is resolved once lookups are allowed, and removes no other machine of that name.
    flow.create("m1", &[]).await.ok();
    flow.lab.heal();
    let settled = flow.home.run(["prune", "--force"]).await.ok();
    assert!(
        settled.out.contains("Settled what was left of m1"),
        "{settled}"
    );
    assert_eq!(flow.home.tombstones(), 0);
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_driver_section_is_replaced_by_journal_and_tags() {
    for journal in [true, false] {
        let mut flow = created().await;
        let machine = flow.home.machine("m1");
        let config = machine.join("config.json");
        let mut record: serde_json::Value =
            serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
        record["Driver"]["InstanceId"] = serde_json::json!({"of": "another kind"});
        fs::write(&config, record.to_string()).unwrap();
        if !journal {
            fs::remove_file(machine.join(".journal")).unwrap();
            flow.home.set("AWS_ENDPOINT", flow.lab.endpoint());
            flow.home.set("AWS_DEFAULT_REGION", "us-east-1");
        }
        flow.home.run(["config", "m1"]).await.failed(1, &[]);
        let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
        let by = if journal {
            "going by the journal"
        } else {
            "going by the tags"
        };
        assert!(removed.out.contains(by), "{removed}");
        flow.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_machine_that_is_already_gone_succeeds() {
    // Stopped; terminated by another user; and so long ago that EC2 has forgotten it, including the key pair.
    let flow = created().await;
    flow.home.run(["stop", "m1"]).await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["does not exist"]);

    let flow = created().await;
    let machine = flow.home.machine("m1");
    let copy = flow.home.path().join("copy");
    let mut cp = tokio::process::Command::new("cp");
    cp.args(["-a".as_ref(), machine.as_os_str(), copy.as_os_str()]);
    flow.home.end(cp, b"").await.ok();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    // As after a restored backup: the machine is on disk again, terminated.
    fs::rename(&copy, &machine).unwrap();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_termination_the_machine_or_a_tombstone_stays() {
    let flow = created().await;
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["TerminateInstances", "m1"]);
    assert!(flow.home.machine("m1").join("config.json").is_file());
    flow.home.run(["inspect", "m1"]).await.ok();

    let instance = flow.lab.live_instances().remove(0).id;
    let forced = flow.home.run(["rm", "-f", "m1"]).await.ok();
    assert!(
        forced.err.contains("left behind, and on record") && forced.err.contains(&instance),
        "{forced}"
    );
    assert!(!flow.home.machine("m1").exists());
    assert_eq!(flow.home.tombstones(), 1);

    // Reading commands do not change it.
    flow.lab.heal();
    flow.lab.clear_calls();
    for argv in [
        &["ls"][..],
        &["ls", "-q"],
        &["inspect", "m1"],
        &["status", "m1"],
    ] {
        flow.home.run(argv).await;
    }
    assert_eq!(flow.changes(), Vec::<String>::new());
    assert_eq!(flow.home.tombstones(), 1);

    // A create also resolves it.
    flow.create("m2", &[]).await.ok();
    assert_eq!(flow.home.tombstones(), 0);
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tombstones_do_not_delay_commands() {
    let flow = created().await;
    flow.lab.deny(Denial::of("ec2:TerminateInstances"));
    flow.home.run(["rm", "-f", "m1"]).await.ok();
    flow.lab.heal();
    // EC2 never answers the tombstone's call: the create continues nevertheless.
    let gate = flow.lab.hold("TerminateInstances");
    flow.create("m2", &[]).await.ok();
    gate.open();
    flow.home.run(["rm", "-y", "m2"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_account_forget_no_machine() {
    let mut flow = Flow::start().await;
    // From the provider chain: these credentials are not saved, and may be different the next day.
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    let credentials = flow.home.path().join("credentials");
    flow.home.set("AWS_SHARED_CREDENTIALS_FILE", &credentials);
    let log_in = |key: &str| {
        let profile =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = SECRET\n");
        fs::write(&credentials, profile).unwrap();
    };
    log_in(ACCESS_KEY);
    flow.create("m1", &[]).await.ok();
    later(&flow.lab);
    log_in(OTHER_ACCESS_KEY);
    let removed = flow.home.run(["rm", "-y", "m1"]).await.ok();
    for told in ["key pair m1", "instance i-", ACCOUNT] {
        assert!(removed.err.contains(told), "{removed}");
    }
    let prune = flow.home.run(["prune", "--force"]).await;
    assert_eq!(
        (flow.lab.live_instances().len(), flow.lab.key_pairs().len()),
        (1, 1),
        "{prune}"
    );
    assert_eq!(flow.home.tombstones(), 1);

    log_in(ACCESS_KEY);
    flow.home.run(["prune", "--force"]).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_forget_no_machine() {
    let flow = created().await;
    flow.lab.set_key_state(ACCESS_KEY, KeyState::Expired);
    flow.home
        .run(["rm", "-y", "m1"])
        .await
        .failed(1, &["RequestExpired"]);
    assert!(flow.home.machine("m1").join("config.json").is_file());
    flow.home.run(["rm", "-f", "m1"]).await.ok();
    flow.home.run(["prune", "--force"]).await;
    assert_eq!(flow.home.tombstones(), 1);

    flow.lab.set_key_state(ACCESS_KEY, KeyState::Active);
    flow.home.run(["prune", "--force"]).await;
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_region_forgets_no_machine() {
    let flow = Flow::with(HostOptions::default(), |lab| {
        lab.regions(["us-east-1", "eu-west-1"])
    })
    .await;
    flow.create("m1", &[]).await.ok();
    later(&flow.lab);
    let config = flow.home.machine("m1").join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    let moved = text.replace("\"Region\": \"us-east-1\"", "\"Region\": \"eu-west-1\"");
    assert_ne!(text, moved);
    fs::write(&config, moved).unwrap();
    flow.home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}
