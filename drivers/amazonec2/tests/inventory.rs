//! The inventory of orphaned resources: resources that this program created, and none that only carry its tags.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use ec2_lab::ec2::{Denial, Effect, Fault, Instance};
use fixture::Fixture;
use fixture::fleet::Fleet;
use machine_driver::{Driver, LeftBehind, OwnedBy};
use machine_ops::Scope;

const TOKEN: &str = "1323657e-2aa4-1d94-2c48-5d7a423e7394";

async fn listed(fixture: &Fixture, machine: &dyn Driver) -> Vec<LeftBehind> {
    let owner = fixture::owner("store-1");
    let listed = machine.left_behind(owner, &fixture.cx);
    listed.await.unwrap()
}

fn kinds(items: &[LeftBehind]) -> Vec<&str> {
    let kinds = items.iter().map(|item| item.resource.intent.kind.as_str());
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    kinds
}

/// The tags of an instance that a user can copy.
fn copied(fixture: &Fixture, instance: &Instance) -> BTreeMap<String, String> {
    let mut tags = fixture.lab.tags(&instance.id);
    tags.retain(|key, _| !key.starts_with("aws:"));
    tags
}

#[tokio::test]
async fn an_instance_that_another_program_launched_is_not_listed() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    let own = fixture.lab.live_instances().remove(0);
    let tags = copied(&fixture, &own);
    let restored = fixture.lab.launch_like(&own.id, TOKEN, &tags).unwrap();
    // Its client token is this program's, and Auto Scaling manages it now.
    let mut managed = tags.clone();
    managed.insert("aws:autoscaling:groupName".into(), "workers".into());
    let token = own.client_token.clone().unwrap();
    let managed = fixture.lab.launch_like(&own.id, &token, &managed).unwrap();
    let items = listed(&fixture, &*machine).await;
    assert_eq!(kinds(&items), ["instance", "key-pair"]);
    for item in &items {
        assert_ne!(item.resource.id.as_deref(), Some(restored.as_str()));
        assert_ne!(item.resource.id.as_deref(), Some(managed.as_str()));
        assert_eq!(machine.owner_ids(&[]), [item.owner_id.clone().unwrap()]);
    }
    let told = fixture.told.lines();
    assert!(
        told.contains("left alone") && told.contains("1 more"),
        "{told}"
    );
}

#[tokio::test]
async fn the_instance_of_a_fleet_is_listed_by_the_token_of_its_fleet() {
    let fleet = Fleet::new().await;
    let fixture = &fleet.fixture;
    let mut machine = fleet.machine(&[]);
    fixture.create(&mut machine).await.unwrap();
    let launched = fleet.live().remove(0);
    let tags = copied(fixture, &launched);
    fixture.lab.launch_like(&launched.id, TOKEN, &tags).unwrap();
    let ids = |items: &[LeftBehind]| -> Vec<String> {
        let instances = items
            .iter()
            .filter(|item| item.resource.intent.kind == "instance");
        instances
            .filter_map(|item| item.resource.id.clone())
            .collect()
    };
    // Those of the fleet's machine and of the fixture's own machine.
    let items = listed(fixture, &*machine).await;
    assert_eq!(ids(&items).len(), 2, "{items:?}");
    assert!(ids(&items).contains(&launched.id));
    // Without permission for DescribeFleets, the origin is unknown.
    fixture.lab.deny(Denial::of("ec2:DescribeFleets"));
    let items = listed(fixture, &*machine).await;
    assert!(!ids(&items).contains(&launched.id), "{items:?}");
    assert!(fixture.told.lines().contains("left alone"));
}

#[tokio::test]
async fn an_answer_without_the_requested_tags_is_an_error() {
    let fixture = Fixture::new().await;
    let spot = [("request-spot-instance", "true")];
    let machine = fixture.created(&spot).await;
    for action in [
        "DescribeInstances",
        "DescribeKeyPairs",
        "DescribeSpotInstanceRequests",
        "DescribeVolumes",
    ] {
        let ignores = Fault::on(action, Effect::Unfiltered).always();
        let ignores = fixture.lab.inject(ignores);
        let listed = machine.left_behind(fixture::owner("store-2"), &fixture.cx);
        let error = listed.await.unwrap_err().to_string();
        assert!(error.contains("cannot rely on"), "{action}: {error}");
        assert!(error.contains(action), "{action}: {error}");
        fixture.lab.remove_fault(ignores);
    }
}

#[tokio::test]
async fn values_of_tags_are_literal() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[("tags", "team,build-prod")]).await;
    let owner = |value: &str| [("team".to_owned(), value.to_owned())];
    for (value, count) in [("build-*", 0), ("build-????", 0), ("build-prod", 2)] {
        let owner = OwnedBy {
            store: Some("store-1"),
            tags: &owner(value),
            scope: &Scope::default(),
        };
        let listed = machine.left_behind(owner, &fixture.cx).await;
        assert_eq!(listed.unwrap().len(), count, "{value}");
    }
}

#[tokio::test]
async fn the_last_use_is_the_last_stop_start_or_detachment() {
    let fixture = Fixture::new().await;
    let mut machine = fixture.created(&[]).await;
    let launched = fixture.lab.clock().now();
    fixture.lab.clock().advance(Duration::from_secs(86_400));
    machine.stop(&fixture.cx).await.unwrap();
    machine.start(&fixture.cx).await.unwrap();
    let own = fixture.lab.live_instances().remove(0);
    let items = listed(&fixture, &*machine).await;
    for item in &items {
        let used = UNIX_EPOCH + Duration::from_millis(item.used.unwrap());
        let after = used.duration_since(launched).unwrap();
        assert!(after >= Duration::from_secs(86_000), "{item:?}");
    }
    let volume = fixture.lab.detach_root_volume(&own.id).unwrap();
    let items = listed(&fixture, &*machine).await;
    let volume = items
        .iter()
        .find(|item| item.resource.id.as_ref() == Some(&volume));
    assert_eq!(
        volume.unwrap().used,
        None,
        "EC2 does not report when it was detached"
    );
}

#[tokio::test]
async fn a_volume_that_was_restored_from_a_snapshot_with_its_tags_is_none_of_ours() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    let own = fixture.lab.live_instances().remove(0);
    let restored = fixture.lab.restore_root_volume(&own.id).unwrap();
    let detached = fixture.lab.detach_root_volume(&own.id).unwrap();
    let volumes = |items: Vec<LeftBehind>| -> Vec<String> {
        let volumes = items.into_iter();
        let volumes = volumes.filter(|item| item.resource.intent.kind == "volume");
        volumes.filter_map(|item| item.resource.id).collect()
    };
    assert_eq!(volumes(listed(&fixture, &*machine).await), [detached]);
    let told = fixture.told.lines();
    assert!(
        told.contains(&restored) && told.contains("of no image"),
        "{told}"
    );
    // Without permission for DescribeImages, the origin is unknown.
    fixture.lab.deny(Denial::of("ec2:DescribeImages"));
    assert_eq!(volumes(listed(&fixture, &*machine).await), [""; 0]);
}
