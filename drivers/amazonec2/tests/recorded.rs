//! The Go binary's recorded requests and saved fields for each flag, compared with those of this driver.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;

use ec2_lab::ec2::ACCOUNT;
use fixture::Fixture;
use machine_driver::{DriverKind, KeyMaterial};
use serde_json::{Map, Value};

#[derive(serde::Deserialize)]
struct Recorded {
    case: String,
    flags: Vec<(String, String)>,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    swarm_master: bool,
    swarm_discovery: String,
    ingress: BTreeMap<String, String>,
    run: BTreeMap<String, String>,
    driver: Map<String, Value>,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("data/recorded.json")).unwrap()
}

/// Replaces values that differ from run to run with the record's placeholders.
fn placeholders(fixture: &Fixture, text: &str) -> String {
    let mut text = text.replace(&fixture.vpc, "$VPC");
    for (zone, subnet) in &fixture.subnets {
        text = text.replace(subnet, &format!("$SUBNET_{zone}"));
    }
    for group in fixture.lab.security_groups() {
        text = text.replace(&group.id, "$SG");
    }
    for instance in fixture.lab.instances() {
        text = text.replace(&instance.id, "$INSTANCE");
    }
    let store = fixture.store.path().display().to_string();
    text.replace(&format!("{store}/ud.sh"), "$ROOT/ud.sh")
        .replace(&store, "$STORE")
        .replace(&fixture.lab.endpoint(), "http://127.0.0.1:5001")
}

fn real(fixture: &Fixture, text: &str) -> String {
    let mut text = text
        .replace("$VPC", &fixture.vpc)
        .replace("$ROOT", &fixture.store.path().display().to_string());
    for (zone, subnet) in &fixture.subnets {
        text = text.replace(&format!("$SUBNET_{zone}"), subnet);
    }
    text.replace("http://127.0.0.1:5001", &fixture.lab.endpoint())
}

/// Removes parameters that may differ: owner tags, the client token, empty values.
fn comparable(params: &BTreeMap<String, String>, fixture: &Fixture) -> BTreeMap<String, String> {
    let ours: Vec<String> = params
        .iter()
        .filter(|(_, value)| {
            value.starts_with("docker-machine:") || *value == "spot-instances-request"
        })
        .map(|(name, _)| name.rsplit_once('.').unwrap().0.to_owned())
        .collect();
    params
        .iter()
        .filter(|(name, value)| {
            !value.is_empty() && !ours.iter().any(|our| name.starts_with(&format!("{our}.")))
        })
        .map(|(name, value)| match name.as_str() {
            "ClientToken" => (name.clone(), "$TOKEN".to_owned()),
            _ => (name.clone(), placeholders(fixture, value)),
        })
        .collect()
}

async fn replay(case: &Recorded) {
    let fixture = Fixture::with(
        ec2_lab::ec2::Lab::builder()
            .access_key("AKIDEXAMPLE", ACCOUNT)
            .access_key("AK", ACCOUNT),
    )
    .await;
    for (path, content) in &case.files {
        std::fs::write(real(&fixture, path), content).unwrap();
    }
    let mut flags = case.flags.clone();
    for spec in driver_amazonec2::AmazonEc2.flags() {
        // List flags have no variable: the recorded case proves it.
        let list = matches!(spec.kind, machine_driver::FlagKind::List { .. });
        if let Some(value) = spec.env.filter(|_| !list).and_then(|env| case.env.get(env)) {
            flags.push((spec.name.to_owned(), value.clone()));
        }
    }
    let flags: Vec<_> = flags
        .iter()
        .map(|(name, value)| (name.clone(), real(&fixture, value)))
        .collect();
    let mut base = fixture.base("e1");
    base.swarm_master = case.swarm_master;
    base.swarm_discovery.clone_from(&case.swarm_discovery);
    let mut machine = driver_amazonec2::AmazonEc2
        .configure(&base, &fixture::options(&flags))
        .unwrap();
    machine.preflight(&fixture.cx).await.unwrap();
    machine
        .create(
            &KeyMaterial {
                public: fixture::PUBLIC.into(),
            },
            &fixture.cx,
        )
        .await
        .unwrap();

    let calls = fixture.lab.calls();
    let call = |action: &str| calls.iter().find(|call| call.action == action).unwrap();
    let mut expected: BTreeMap<_, _> = case.run.clone();
    // The Go program sends `Encrypted=false`. This driver sends only what the flags request.
    let is_unasked = |name: &str, value: &str| name.ends_with(".Ebs.Encrypted") && value == "false";
    expected.retain(|name, value| !value.is_empty() && !is_unasked(name, value));
    let mut sent = comparable(&call("RunInstances").params, &fixture);
    if case.case.contains("spot") {
        // The Go fork tags spot instances after the launch, this driver at creation.
        sent.retain(|name, _| !name.starts_with("TagSpecification"));
    }
    assert_eq!(sent, expected, "{}: RunInstances", case.case);
    let ingress = comparable(&call("AuthorizeSecurityGroupIngress").params, &fixture);
    assert_eq!(
        ingress, case.ingress,
        "{}: AuthorizeSecurityGroupIngress",
        case.case
    );

    let saved = machine.save();
    let saved = saved.as_object().unwrap();
    let names: Vec<_> = saved.keys().collect();
    assert_eq!(
        names,
        case.driver.keys().collect::<Vec<_>>(),
        "{}: the fields",
        case.case
    );
    for (name, value) in &case.driver {
        // Addresses and the machine's id differ in each run. One recorded launch was refused.
        if matches!(name.as_str(), "IPAddress" | "PrivateIPAddress" | "Id")
            || (name == "InstanceId" && value == "")
        {
            continue;
        }
        let own = serde_json::from_str::<Value>(&placeholders(&fixture, &saved[name].to_string()))
            .unwrap();
        assert_eq!(own, *value, "{}: {name}", case.case);
    }
}

#[tokio::test]
async fn every_recorded_create_is_sent_and_saved_as_recorded() {
    let cases = recorded();
    assert!(cases.len() > 20);
    for case in &cases {
        replay(case).await;
    }
}

#[tokio::test]
async fn a_configuration_of_the_go_binary_is_saved_unchanged() {
    let fixture = Fixture::new().await;
    for case in recorded() {
        let mut saved = case.driver.clone();
        saved.insert("OfALaterVersion".into(), serde_json::json!({"kept": [1]}));
        let saved = Value::Object(saved);
        let machine = driver_amazonec2::AmazonEc2
            .load(&fixture.base("e1"), &saved)
            .unwrap();
        assert_eq!(machine.save(), saved, "{}", case.case);
        assert_eq!(
            machine.saved_resources().len(),
            1 + usize::from(saved["InstanceId"] != "")
        );
    }
}

#[tokio::test]
async fn old_and_partial_configurations_load() {
    let fixture = Fixture::new().await;
    let old = serde_json::json!({"IPAddress": "10.0.0.1", "InstanceId": "i-1", "SecurityGroupName": "g", "OpenPorts": null});
    let machine = driver_amazonec2::AmazonEc2
        .load(&fixture.base("e1"), &old)
        .unwrap();
    assert_eq!(machine.docker_host().unwrap(), "tcp://10.0.0.1:2376");
    assert_eq!(
        machine.save()["SecurityGroupNames"],
        serde_json::json!(["g"])
    );
    assert_eq!(machine.ssh().unwrap().port, 22);
}
