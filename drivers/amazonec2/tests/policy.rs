//! The driver's permissions: the policy file, and the narrower policy that runners commonly have.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeSet;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Lab};
use fixture::{AMI, Fixture, REGION};
use machine_driver::Driver;

/// The actions of the driver's policy file.
fn shipped() -> BTreeSet<String> {
    let policy: serde_json::Value =
        serde_json::from_str(include_str!("../iam-policy.json")).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap());
    actions
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

/// Creates a machine by a fleet.
async fn by_fleet(fixture: &Fixture) -> Box<dyn Driver> {
    let key = fixture.store.path().join("key");
    std::fs::write(&key, "private").unwrap();
    fixture.lab.add_launch_template(
        ACCOUNT,
        REGION,
        "workers",
        &[("ImageId", AMI), ("InstanceType", "t3.small")],
    );
    let key = key.display().to_string();
    let flags = [
        ("use-fleet", "true"),
        ("launch-template", "workers"),
        ("ssh-keypath", key.as_str()),
    ];
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
    let fleets = by_fleet(fixture).await;
    let left = fleets.left_behind(fixture::owner("store-1"), &fixture.cx);
    assert!(!left.await.unwrap().is_empty());
    let volume = fixture.lab.volumes()[0].id.clone();
    let request = fixture.lab.spot_requests()[0].id.clone();
    for item in spot
        .left_behind(fixture::owner("store-1"), &fixture.cx)
        .await
        .unwrap()
    {
        spot.undo(&item.resource, &fixture.cx).await.unwrap();
        let mut as_volume = item.resource.clone();
        as_volume.intent.kind = "volume".into();
        as_volume.id = Some(volume.clone());
        spot.undo(&as_volume, &fixture.cx).await.ok();
        let mut as_request = item.resource.clone();
        as_request.intent.kind = "spot-request".into();
        as_request.id = Some(request.clone());
        spot.undo(&as_request, &fixture.cx).await.unwrap();
    }
    fixture
        .lab
        .counts()
        .into_keys()
        .map(|action| format!("ec2:{action}"))
        .collect()
}

#[tokio::test]
async fn the_policy_file_allows_exactly_the_calls_of_the_driver() {
    let fixture = Fixture::new().await;
    fixture.lab.allow_only(ACCESS_KEY, shipped());
    let mut seen = all_calls(&fixture).await;
    // This call requires no permission.
    seen.remove("ec2:GetCallerIdentity");
    // Tags at creation are authorised as CreateTags. The default VPC from an account attribute saves DescribeVpcs.
    seen.insert("ec2:CreateTags".into());
    seen.insert("ec2:DescribeVpcs".into());
    assert_eq!(seen, shipped());
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
    let machine = by_fleet(&fixture).await;
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}
