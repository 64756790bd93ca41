//! Tags at creation, tags that are left out because AWS refuses them, and tags that are written afterwards.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;

use ec2_lab::ec2::{Blindness, Call, Denial, Effect, Fault, Kind, Lab};
use fixture::fleet::Fleet;
use fixture::{Fixture, owner};
use machine_driver::{Driver, DriverErrorKind};

const TAGS: (&str, &str) = ("tags", "team,x");
const SPOT: (&str, &str) = ("request-spot-instance", "true");

fn error(code: &str, message: impl Into<String>) -> Effect {
    Effect::Error {
        code: code.into(),
        message: message.into(),
        status: None,
    }
}

/// EC2's error text for a resource type that a call cannot tag (github.com/aws/aws-sdk-ruby/issues/1718).
fn not_taggable(action: &str, kind: &'static str) -> Fault {
    let text = format!("'{kind}' is not a valid taggable resource type for this operation.");
    Fault::on(action, error("InvalidParameterValue", text))
        .when(move |call| has_value(call, |value| value == kind))
        .always()
}

fn has_value(call: &Call, is: impl Fn(&str) -> bool) -> bool {
    call.params.values().any(|value| is(value))
}

fn has_owner_tags(call: &Call) -> bool {
    has_value(call, |value| value.starts_with("docker-machine:"))
}

fn keys(lab: &Lab, id: &str) -> Vec<String> {
    let tags: BTreeMap<_, _> = lab.tags(id);
    tags.into_keys()
        .filter(|key| !key.starts_with("aws:"))
        .collect()
}

const ALL: [&str; 4] = ["Name", "docker-machine:id", "docker-machine:store", "team"];

/// The tag keys of each resource of the only machine, by resource type.
fn tagged(lab: &Lab) -> BTreeMap<&'static str, Vec<String>> {
    let [instance] = &lab.live_instances()[..] else {
        panic!("one instance")
    };
    let mut found = BTreeMap::from([("instance", keys(lab, &instance.id))]);
    for volume in lab.volumes() {
        found.insert("volume", keys(lab, &volume.id));
    }
    for interface in lab.interfaces() {
        found.insert("network-interface", keys(lab, &interface.id));
    }
    for request in lab.spot_requests() {
        found.insert("spot-instances-request", keys(lab, &request.id));
    }
    found
}

/// The number of instances that prune would find.
async fn found_by_prune(fixture: &Fixture, machine: &dyn Driver) -> usize {
    let found = machine
        .left_behind(owner("store-1"), &fixture.cx)
        .await
        .unwrap();
    let kinds = found.iter().map(|found| &*found.resource.intent.kind);
    kinds.filter(|kind| *kind == "instance").count()
}

#[tokio::test]
async fn only_the_untaggable_resource_type_goes_untagged() {
    for kind in ["volume", "network-interface", "spot-instances-request"] {
        for denied in [true, false] {
            let fixture = Fixture::new().await;
            if denied {
                fixture
                    .lab
                    .deny(Denial::of("ec2:CreateTags").on_resource(kind));
            } else {
                fixture.lab.inject(not_taggable("RunInstances", kind));
            }
            let machine = fixture.created(&[TAGS, SPOT]).await;
            assert_eq!(fixture.lab.count("RunInstances"), 2, "{kind}");
            for (tagged, keys) in tagged(&fixture.lab) {
                let expected = if tagged == kind { &[][..] } else { &ALL[..] };
                assert_eq!(keys, expected, "{tagged} where {kind} is refused");
            }
            assert_eq!(fixture.lab.count("CreateTags"), 0);
            assert_eq!(found_by_prune(&fixture, &*machine).await, 1);
            assert_eq!(fixture.told.lines().matches("fewer tags").count(), 1);
            assert!(fixture.undo(&*machine).await.is_clean());
            assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
        }
    }
}

#[tokio::test]
async fn an_untaggable_instance_is_tagged_after_the_launch() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(not_taggable("RunInstances", "instance"));
    let machine = fixture.created(&[TAGS, SPOT]).await;
    for (tagged, keys) in tagged(&fixture.lab) {
        assert_eq!(keys, ALL, "{tagged}");
    }
    assert_eq!(found_by_prune(&fixture, &*machine).await, 1);
    assert!(fixture.undo(&*machine).await.is_clean());
}

#[tokio::test]
async fn owner_tags_that_a_launch_refuses_are_written_afterwards() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(
        Fault::on(
            "RunInstances",
            error(
                "TagPolicyViolation",
                "The tag policy does not allow the specified value for the following tag key: 'docker-machine:id'.",
            ),
        )
        .when(has_owner_tags)
        .always(),
    );
    let machine = fixture.created(&[TAGS]).await;
    assert_eq!(fixture.lab.count("RunInstances"), 2);
    assert_eq!(tagged(&fixture.lab)["instance"], ALL);
    assert_eq!(tagged(&fixture.lab)["volume"], ["Name", "team"]);
    assert_eq!(found_by_prune(&fixture, &*machine).await, 1);
}

#[tokio::test]
async fn refused_owner_tags_leave_the_users_tags() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    fixture.lab.inject(not_taggable("RunInstances", "instance"));
    fixture.created(&[TAGS]).await;
    assert_eq!(tagged(&fixture.lab)["instance"], ["Name", "team"]);
    let told = fixture.told.lines();
    assert!(
        told.contains("stays without docker-machine's own tags"),
        "{told}"
    );
}

#[tokio::test]
async fn a_fleet_and_its_instance_are_tagged_except_for_an_untaggable_type() {
    for kind in ["fleet", "volume", "network-interface"] {
        let fleet = Fleet::new().await;
        let lab = &fleet.fixture.lab;
        lab.inject(not_taggable("CreateFleet", kind));
        let mut machine = fleet.machine(&[TAGS]);
        fleet.fixture.create(&mut machine).await.unwrap();
        assert_eq!(lab.count("CreateFleet"), 2, "{kind}");
        let instance = &fleet.live()[0].id;
        assert_eq!(keys(lab, instance), ALL, "{kind}");
        let of_fleet = keys(lab, &lab.tags(instance)["aws:ec2:fleet-id"]);
        let expected = if kind == "fleet" { &[][..] } else { &ALL[..] };
        assert_eq!(of_fleet, expected, "{kind}");
    }
}

#[tokio::test]
async fn without_any_tags_a_lost_launch_is_found_by_its_token() {
    let fixture = Fixture::new().await;
    fixture.lab.deny(Denial::of("ec2:CreateTags"));
    let machine = fixture.created(&[TAGS]).await;
    let instance = &fixture.lab.live_instances()[0];
    assert!(fixture.lab.tags(&instance.id).is_empty());
    let told = fixture.told.lines();
    assert!(told.contains("the instance stays without tags"), "{told}");
    assert!(fixture.undo(&*machine).await.is_clean());

    let lost = Fault::on("RunInstances", Effect::LoseAnswer)
        .when(|call| !call.params.keys().any(|name| name.starts_with("TagSpec")))
        .always();
    let lost = fixture.lab.inject(lost);
    let blind = fixture
        .lab
        .inject(Fault::error("DescribeInstances", "Unavailable").always());
    let mut machine = fixture.machine(&[TAGS, ("retries", "0")]);
    fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(fixture.lab.live_instances().len(), 1);
    fixture.lab.remove_fault(lost);
    fixture.lab.remove_fault(blind);
    assert!(fixture.undo(&*fixture.reloaded()).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_refusal_without_an_action_is_retried_with_fewer_tags_and_then_final() {
    let fixture = Fixture::new().await;
    let refusal = error(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
    );
    fixture
        .lab
        .inject(Fault::on("RunInstances", refusal).always());
    let error = fixture.create(&mut fixture.machine(&[])).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Denied);
    assert_eq!(
        fixture.lab.count("RunInstances"),
        6,
        "all tags, the user's tags, none, each with and without session tokens"
    );
}

#[tokio::test]
async fn a_users_tag_that_violates_a_tag_policy_ends_the_create() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(
        Fault::on(
            "RunInstances",
            error(
                "TagPolicyViolation",
                "The tag policy does not allow the specified value for the following tag key: 'team'.",
            ),
        )
        .always(),
    );
    let error = fixture
        .create(&mut fixture.machine(&[TAGS]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("TagPolicyViolation"), "{error}");
    assert_eq!(fixture.lab.count("RunInstances"), 1);
}

#[tokio::test]
async fn a_refused_value_that_contains_tag_is_no_refused_tag() {
    let fixture = Fixture::with(Lab::builder().instance_profiles(["worker"])).await;
    let flags = [("iam-instance-profile", "staging-runner"), TAGS];
    let error = fixture
        .create(&mut fixture.machine(&flags))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("staging-runner"), "{error}");
    assert_eq!(fixture.lab.count("RunInstances"), 1);
    assert!(!fixture.told.lines().contains("fewer tags"));
}

#[tokio::test]
async fn writing_tags_is_retried_for_an_unknown_instance_and_concurrent_tagging() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(not_taggable("RunInstances", "instance"));
    fixture
        .lab
        .inject(Fault::error("CreateTags", "InvalidInstanceID.NotFound").times(3));
    fixture
        .lab
        .inject(Fault::error("CreateTags", "ConcurrentTagAccess").times(2));
    let machine = fixture.created(&[TAGS]).await;
    assert_eq!(tagged(&fixture.lab)["instance"], ALL);

    fixture.lab.heal();
    fixture
        .lab
        .inject(Fault::error("CreateTags", "ConcurrentTagAccess").times(3));
    let labels = [("job".to_owned(), "7".to_owned())];
    machine.set_labels(&labels, &fixture.cx).await.unwrap();
    let instance = &fixture.lab.live_instances()[0].id;
    assert_eq!(fixture.lab.tags(instance)["job"], "7");
}

#[tokio::test]
async fn set_labels_retries_for_a_new_instance_and_fails_for_a_missing_one() {
    let fixture = Fixture::new().await;
    fixture.lab.blind(Kind::Instance, Blindness::Reads(vec![3]));
    let mut machine = fixture.machine(&[]);
    machine.preflight(&fixture.cx).await.unwrap();
    let key = machine_driver::KeyMaterial {
        public: fixture::PUBLIC.into(),
    };
    machine.create(&key, &fixture.cx).await.unwrap();
    let labels = [("job".to_owned(), "7".to_owned())];
    machine.set_labels(&labels, &fixture.cx).await.unwrap();

    let gone = || Fault::error("CreateTags", "InvalidInstanceID.NotFound").always();
    fixture.lab.inject(gone());
    fixture
        .lab
        .clock()
        .advance(std::time::Duration::from_secs(3600));
    fixture.lab.clear_calls();
    let error = machine.set_labels(&labels, &fixture.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::NotFound);
    assert_eq!(fixture.lab.count("CreateTags"), 1);
}

#[tokio::test]
async fn key_pair_and_security_group_carry_tags_too() {
    let fixture = Fixture::new().await;
    fixture
        .created(&[TAGS, ("security-group", "workers")])
        .await;
    let pair = &fixture.lab.key_pairs()[0];
    assert_eq!(keys(&fixture.lab, &pair.id), ALL);
    let groups = fixture.lab.security_groups();
    let group = groups.iter().find(|group| group.name == "workers").unwrap();
    let tags = fixture.lab.tags(&group.id);
    let tags: Vec<_> = tags.iter().map(|(key, value)| (&**key, &**value)).collect();
    // The group remains for other machines when this machine is removed.
    let expected = [
        ("Name", "workers"),
        ("docker-machine:store", "store-1"),
        ("team", "x"),
    ];
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn every_created_resource_has_the_tag_that_an_organization_demands() {
    let demands = |lab: &Lab| {
        for action in [
            "ec2:RunInstances",
            "ec2:ImportKeyPair",
            "ec2:CreateSecurityGroup",
            "ec2:CreateFleet",
        ] {
            lab.deny(Denial::of(action).without_tag_key("team"));
        }
    };
    let fixture = Fixture::new().await;
    demands(&fixture.lab);
    let flags = [TAGS, SPOT, ("security-group", "workers")];
    let machine = fixture.created(&flags).await;
    assert!(!fixture.told.lines().contains("fewer"));
    assert!(fixture.undo(&*machine).await.is_clean());

    // Even though refused tags are left out.
    fixture
        .lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    let machine = fixture.created(&flags).await;
    assert_eq!(tagged(&fixture.lab)["instance"], ["Name", "team"]);
    assert!(fixture.undo(&*machine).await.is_clean());

    let error = fixture.create(&mut fixture.machine(&[])).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Denied);
    let text = error.to_string();
    assert!(text.contains("ec2:ImportKeyPair on resource"), "{text}");
    assert!(
        text.contains("explicit deny in a service control"),
        "{text}"
    );

    let fleet = Fleet::new().await;
    demands(&fleet.fixture.lab);
    let mut machine = fleet.machine(&[TAGS]);
    fleet.fixture.create(&mut machine).await.unwrap();
}

#[tokio::test]
async fn an_untaggable_key_pair_or_group_is_created_without_tags() {
    let fixture = Fixture::new().await;
    for kind in ["key-pair", "security-group"] {
        fixture
            .lab
            .deny(Denial::of("ec2:CreateTags").on_resource(kind));
    }
    let machine = fixture
        .created(&[TAGS, ("security-group", "workers"), ("retries", "0")])
        .await;
    let pair = &fixture.lab.key_pairs()[0];
    assert!(keys(&fixture.lab, &pair.id).is_empty());
    assert_eq!(tagged(&fixture.lab)["instance"], ALL);
    let recorded = fixture.resources();
    let recorded = recorded.iter().find(|r| r.intent.kind == "key-pair");
    assert_eq!(recorded.unwrap().id.as_deref(), Some(&*pair.id));
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}
