//! The driver's permissions: the policy files, and the narrower policy that runners commonly have.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Lab};
use fixture::{AMI, Fixture, REGION};
use machine_driver::{Driver, DriverErrorKind, DriverKind as _};
use machine_ops::Undone;

const POLICY: &str = include_str!("../iam-policy.json");
const WITHOUT_GROUPS: &str = include_str!("../iam-policy-without-groups.json");

fn statements(policy: &str) -> Vec<serde_json::Value> {
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// The actions that a policy allows.
fn actions(policy: &str) -> BTreeSet<String> {
    let statements = statements(policy).into_iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap().clone());
    actions
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

/// `describe_key_pairs` of `ec2` as `ec2:DescribeKeyPairs`.
fn action(service: &str, method: &str) -> String {
    let words = method.split('_');
    let words = words.map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]));
    format!("{service}:{}", words.collect::<String>())
}

/// The names between this mark and an opening bracket, in a text without white space.
fn called<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let behind = text.split(mark).skip(1);
    behind.filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_')?;
        (rest[end..].starts_with('(') && end > 0).then(|| &rest[..end])
    })
}

/// The actions of every call in the driver's source.
fn in_the_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let mut text = std::fs::read_to_string(path).unwrap();
            text.retain(|c| !c.is_whitespace());
            found.extend(called(&text, "api.ec2.").map(|method| action("ec2", method)));
            found.extend(called(&text, "{sts.").map(|method| action("sts", method)));
        }
    }
    found
}

/// Creates a machine by a fleet.
async fn by_fleet(fixture: &Fixture, more: &[(&str, &str)]) -> Box<dyn Driver> {
    let key = fixture.store.path().join("key");
    std::fs::write(&key, "private").unwrap();
    fixture.lab.add_launch_template(
        ACCOUNT,
        REGION,
        "workers",
        &[("ImageId", AMI), ("InstanceType", "t3.small")],
    );
    let key = key.display().to_string();
    let mut flags = vec![
        ("use-fleet", "true"),
        ("launch-template", "workers"),
        ("ssh-keypath", key.as_str()),
    ];
    flags.extend(more);
    fixture.created(&flags).await
}

/// Makes every call of the driver, and returns their actions.
async fn all_calls(fixture: &Fixture) -> BTreeSet<String> {
    let mut machine = fixture
        .created(&[
            ("vpc-id", ""),
            ("ami", ""),
            ("use-private-address", "false"),
        ])
        .await;
    machine.diagnose(&fixture.cx).await;
    machine.stop(&fixture.cx).await.unwrap();
    machine.start(&fixture.cx).await.unwrap();
    machine.restart(&fixture.cx).await.unwrap();
    machine
        .left_behind(fixture::owner("store-1"), &fixture.cx)
        .await
        .unwrap();
    let spot = fixture.created(&[("request-spot-instance", "true")]).await;
    let fleets = by_fleet(fixture, &[]).await;
    let left = fleets.left_behind(fixture::owner("store-1"), &fixture.cx);
    assert!(!left.await.unwrap().is_empty());
    let instances = fixture.lab.live_instances().into_iter();
    let mut spots = instances.filter(|instance| instance.spot_request.is_some());
    let instance = spots.next().unwrap();
    let volume = fixture.lab.detach_root_volume(&instance.id);
    let left = spot.left_behind(fixture::owner("store-1"), &fixture.cx);
    let left = left.await.unwrap();
    assert!(left.iter().any(|item| item.resource.id == volume));
    let mut request = left[0].resource.clone();
    request.intent.kind = "spot-request".into();
    request.id = instance.spot_request;
    for resource in left.iter().map(|item| &item.resource).chain([&request]) {
        spot.undo(resource, &fixture.cx).await.unwrap();
    }
    fixture
        .lab
        .counts()
        .into_keys()
        .map(|action| format!("ec2:{action}"))
        .collect()
}

#[test]
fn the_policy_allows_the_calls_of_the_source_and_no_others() {
    let mut calls = in_the_source();
    assert!(calls.len() > 20, "{calls:?}");
    // This call requires no permission.
    assert!(calls.remove("sts:GetCallerIdentity"));
    assert_eq!(calls, actions(POLICY));
    // The second file lacks only the permissions for security groups.
    let is_of_groups = |statement: &serde_json::Value| {
        let sid = statement["Sid"].as_str().unwrap();
        sid.starts_with("SecurityGroups")
    };
    let mut expected = statements(POLICY);
    expected.retain(|statement| !is_of_groups(statement));
    for statement in &mut expected {
        let creates = statement.pointer_mut("/Condition/StringEquals/ec2:CreateAction");
        if let Some(creates) = creates.and_then(|creates| creates.as_array_mut()) {
            creates.retain(|action| action != "CreateSecurityGroup");
        }
    }
    assert_eq!(statements(WITHOUT_GROUPS), expected);
}

#[test]
fn the_policies_allow_what_the_check_against_aws_calls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let script = read("contrib/aws-check");
    let calls = called(&script, "self.ec2.").filter(|method| *method != "get_paginator");
    let pages = script.split("get_paginator(\"").skip(1);
    let pages = pages.filter_map(|rest| rest.split('"').next());
    let allowed = actions(POLICY);
    let allowed = &allowed | &actions(&read("contrib/aws-check-policy.json"));
    let calls: BTreeSet<String> = calls.chain(pages).map(|call| action("ec2", call)).collect();
    assert!(calls.len() > 8, "{calls:?}");
    assert!(calls.is_subset(&allowed), "{:?}", &calls - &allowed);
}

#[tokio::test]
async fn the_policy_is_enough_for_every_call() {
    let fixture = Fixture::new().await;
    fixture.lab.allow_policy(ACCESS_KEY, POLICY).unwrap();
    let seen = all_calls(&fixture).await;
    by_fleet(&fixture, &[("request-spot-instance", "true")]).await;
    let expected = actions(POLICY).len();
    // All but CreateTags, which is authorized with the launch, DescribeVpcs and GetAccessKeyInfo.
    assert!(seen.len() >= expected - 3, "{seen:?}");
    let refused = fixture.lab.calls().into_iter();
    let refused: Vec<_> = refused
        .filter(|call| call.error.as_deref() == Some("UnauthorizedOperation"))
        .map(|call| call.action)
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_permission_to_create_groups_the_existing_ones_serve() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture
        .lab
        .allow_policy(ACCESS_KEY, WITHOUT_GROUPS)
        .unwrap();
    let machine = fixture.created(&[]).await;
    assert!(fixture.undo(&*machine).await.is_clean());
    let group = [("security-group", "other")];
    let error = fixture.create(&mut fixture.machine(&group)).await;
    let error = error.unwrap_err();
    assert!(error.hint.unwrap().contains("ec2:CreateSecurityGroup"));
}

#[tokio::test]
async fn the_policy_keeps_to_resources_with_the_owner_tag() {
    let fixture = Fixture::new().await;
    let mut foreign = fixture.created(&[("no-owner-tags", "true")]).await;
    fixture.lab.allow_policy(ACCESS_KEY, POLICY).unwrap();
    for error in [
        foreign.stop(&fixture.cx).await.unwrap_err(),
        foreign.restart(&fixture.cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, DriverErrorKind::Denied, "{error}");
    }
    let report = fixture.undo(&*foreign).await;
    assert_eq!(report.left.len(), 2, "the key pair and the instance");
    assert_eq!(fixture.lab.live_instances().len(), 1);
    let untagged = fixture.machine(&[("no-owner-tags", "true")]);
    let mut untagged = untagged;
    assert!(fixture.create(&mut untagged).await.is_err());
}

#[tokio::test]
async fn under_the_policy_what_is_gone_is_removed_from_the_record() {
    let fixture = Fixture::new().await;
    fixture.lab.allow_policy(ACCESS_KEY, POLICY).unwrap();
    let machine = fixture.created(&[]).await;
    let id = fixture.lab.live_instances()[0].id.clone();
    assert!(fixture.undo(&*machine).await.is_clean());
    // EC2 shows a terminated instance for an hour.
    fixture.lab.clock().advance(Duration::from_secs(2 * 3600));
    let mut saved = machine.save();
    saved["InstanceId"] = id.into();
    let loaded = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    for resource in loaded.saved_resources() {
        let undone = loaded.undo(&resource, &fixture.cx).await.unwrap();
        assert!(matches!(undone, Undone::Gone), "{resource:?}: {undone:?}");
    }
}

#[tokio::test]
async fn the_common_policy_is_sufficient_with_an_existing_group() {
    let fixture = Fixture::with(Lab::builder()).await;
    fixture.created(&[]).await;
    let wild = [
        "ec2:Describe*",
        "ec2:RunInstances",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:RebootInstances",
        "ec2:TerminateInstances",
        "ec2:CreateKeyPair",
        "ec2:ImportKeyPair",
        "ec2:DeleteKeyPair",
        "ec2:CreateTags",
        "ec2:RequestSpotInstances",
        "ec2:CancelSpotInstanceRequests",
        "ec2:AssociateIamInstanceProfile",
        "ec2:CreateFleet",
    ];
    fixture.lab.allow_only(ACCESS_KEY, wild);
    // A port that the group does not open: it cannot be opened, but the create continues.
    let mut machine = fixture
        .created(&[("request-spot-instance", "true"), ("open-port", "80")])
        .await;
    assert!(
        fixture.told.lines().contains("cannot open ports"),
        "{}",
        fixture.told.lines()
    );
    assert_eq!(machine.diagnose(&fixture.cx).await, None);
    machine.restart(&fixture.cx).await.unwrap();
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
    let machine = by_fleet(&fixture, &[]).await;
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}
