//! Undo: the resources that it removes, those that it leaves on record, and the places that it searches.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::sync::Arc;
use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{
    ACCOUNT, Blindness, Effect, Fault, Kind, Lab, OTHER_ACCESS_KEY, OTHER_ACCOUNT, Shortage,
};
use fixture::fleet::Fleet;
use fixture::{Fixture, PUBLIC, REGION};
use machine_driver::{DriverErrorKind, DriverKind as _};
use machine_ops::{Cx, MemoryJournal, Resource, Undone};
use machine_types::MachineState;

#[tokio::test]
async fn a_launch_without_an_answer_is_found_by_its_token_and_undone() {
    let fixture = Fixture::new().await;
    let mut machine = fixture.machine(&[("retries", "0")]);
    let lost = fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer).always());
    let blind = fixture
        .lab
        .inject(Fault::error("DescribeInstances", "Unavailable").always());
    let error = fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Unavailable, "{error}");
    assert_eq!(fixture.lab.live_instances().len(), 1);
    fixture.lab.remove_fault(lost);
    fixture.lab.remove_fault(blind);
    let reloaded = fixture.reloaded();
    let report = fixture.undo(&*reloaded).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn an_endless_listing_forgets_nothing() {
    let fixture = Fixture::new().await;
    let mut machine = fixture.machine(&[("retries", "0")]);
    let lost = Fault::on("RunInstances", Effect::LoseAnswer).always();
    let lost = fixture.lab.inject(lost);
    let endless =
        "<DescribeInstancesResponse><nextToken>next</nextToken></DescribeInstancesResponse>";
    let endless = Fault::on("DescribeInstances", Effect::Garble(endless.into())).always();
    let endless = fixture.lab.inject(endless);
    fixture.create(&mut machine).await.unwrap_err();
    fixture.lab.remove_fault(lost);
    fixture.lab.clock().advance(Duration::from_secs(600));
    let report = fixture.undo(&*fixture.reloaded()).await;
    assert_eq!(report.left.len(), 1, "{:?}", report.left);
    assert_eq!(fixture.lab.live_instances().len(), 1);
    fixture.lab.remove_fault(endless);
    assert!(fixture.undo(&*fixture.reloaded()).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn an_instance_that_ec2_does_not_show_yet_is_not_forgotten() {
    let fixture = Fixture::new().await;
    fixture.lab.blind(Kind::Instance, Blindness::whole_window());
    let machine = fixture.created(&[]).await;
    assert_eq!(
        machine.state(&fixture.cx).await.unwrap().state,
        MachineState::Starting
    );
    let report = fixture.undo(&*machine).await;
    assert_eq!(report.left.len(), 1, "the instance must stay on record");
    fixture.lab.clock().advance(Duration::from_secs(300));
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn an_instance_that_ended_before_a_relaunch_is_not_forgotten() {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    fixture.lab.shortage(shortage.after_launch());
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let mut machine = fixture.created(&types).await;
    let first = machine.save()["InstanceId"].as_str().unwrap().to_owned();
    let ended = fixture.end_of(&*machine).await;
    let unknown = Fault::error("TerminateInstances", "InvalidInstanceID.NotFound");
    let unknown = fixture.lab.inject(unknown.always());
    assert!(machine.relaunch(&ended, &fixture.cx).await.unwrap());
    let second = machine.save()["InstanceId"].as_str().unwrap().to_owned();
    let open: Vec<_> = fixture
        .resources()
        .into_iter()
        .filter_map(|r| r.id)
        .collect();
    assert!(open.contains(&first) && open.contains(&second), "{open:?}");
    fixture.lab.remove_fault(unknown);
    let report = fixture.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn credentials_of_another_account_forget_nothing() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(600));
    let mut saved = fixture.journal.driver();
    saved["AccessKey"] = OTHER_ACCESS_KEY.into();
    let other_account = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    let report = fixture.undo(&*other_account).await;
    let kinds = report
        .left
        .iter()
        .map(|left| left.resource.intent.kind.as_str());
    assert_eq!(kinds.collect::<Vec<_>>(), ["key-pair", "instance"]);
    assert_eq!(fixture.lab.live_instances().len(), 1);
    assert_eq!(fixture.lab.key_pairs().len(), 1);
    assert!(fixture.undo(&*fixture.reloaded()).await.is_clean());
}

#[tokio::test]
async fn credentials_of_another_account_do_not_forget_a_key_pair() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::error("RunInstances", "UnauthorizedOperation").always());
    let mut machine = fixture.machine(&[]);
    fixture.create(&mut machine).await.unwrap_err();
    fixture.lab.clock().advance(Duration::from_secs(600));
    let mut saved = fixture.journal.driver();
    saved["AccessKey"] = OTHER_ACCESS_KEY.into();
    let other_account = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    assert_eq!(fixture.undo(&*other_account).await.left.len(), 1);
    assert_eq!(fixture.lab.key_pairs().len(), 1);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn resources_are_searched_in_the_region_on_record() {
    let fixture = Fixture::with(Lab::builder().regions([REGION, "eu-west-1"])).await;
    fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(600));
    let mut saved = fixture.journal.driver();
    saved["Region"] = "eu-west-1".into();
    let moved = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    assert!(fixture.undo(&*moved).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn missing_resources_are_gone() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(600));
    assert!(fixture.undo(&*machine).await.is_clean());
    fixture.lab.clock().advance(Duration::from_secs(7200));
    for resource in machine.saved_resources() {
        let undone = machine.undo(&resource, &fixture.cx).await.unwrap();
        assert!(matches!(undone, machine_ops::Undone::Gone), "{undone:?}");
    }
}

#[tokio::test]
async fn an_undo_of_a_lost_launch_relies_on_no_answer_without_its_tag() {
    for fleet in [false, true] {
        let fleets = Fleet::new().await;
        let fixture = &fleets.fixture;
        let action = if fleet { "CreateFleet" } else { "RunInstances" };
        let lost = fixture
            .lab
            .inject(Fault::on(action, Effect::LoseAnswer).always());
        let blind = fixture
            .lab
            .inject(Fault::error("DescribeInstances", "Unavailable").always());
        let mut machine = match fleet {
            true => fleets.machine(&[("retries", "0")]),
            false => {
                let options = fixture::options(&fixture.flags(&[("retries", "0")]));
                AmazonEc2.configure(&fixture.base("e2"), &options).unwrap()
            }
        };
        fixture.create(&mut machine).await.unwrap_err();
        fixture.lab.remove_fault(lost);
        fixture.lab.remove_fault(blind);
        let before = fixture.lab.live_instances().len();
        assert_eq!(before, 2, "the fixture's own instance and the lost one");
        let ignores = fixture
            .lab
            .inject(Fault::on("Describe*", Effect::Unfiltered).always());
        let own: Vec<_> = fixture
            .resources()
            .into_iter()
            .filter(|r| !r.made)
            .collect();
        let [resource] = own.as_slice() else {
            panic!("{own:?}")
        };
        let error = machine.undo(resource, &fixture.cx).await.unwrap_err();
        assert!(error.to_string().contains("cannot rely on"), "{error}");
        assert_eq!(fixture.lab.live_instances().len(), before);
        fixture.lab.remove_fault(ignores);
        machine.undo(resource, &fixture.cx).await.unwrap();
        assert_eq!(fixture.lab.live_instances().len(), before - 1);
    }
}

/// The public key of another user.
const OTHER_PUBLIC: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB2mYJ6iVvQq0o9zv0Tn8r3l4i8v6wq8m3b1s5d7f9hJ other";

fn has_key_pair(fixture: &Fixture, id: &str) -> bool {
    fixture.lab.key_pairs().iter().any(|pair| pair.id == id)
}

#[tokio::test]
async fn a_key_pair_of_the_same_name_in_another_account_is_left_alone() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    let theirs = fixture
        .lab
        .add_key_pair(OTHER_ACCOUNT, REGION, "e1", OTHER_PUBLIC);
    fixture.lab.clock().advance(Duration::from_secs(600));
    let mut saved = fixture.journal.driver();
    saved["AccessKey"] = OTHER_ACCESS_KEY.into();
    let stranger = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    let report = fixture.undo(&*stranger).await;
    assert_eq!(report.left.len(), 2, "{:?}", report.left);
    assert!(has_key_pair(&fixture, &theirs));

    // For a machine of the Go binary, only the key pair's name is on record.
    let without_journal = Cx {
        journal: Arc::<MemoryJournal>::default(),
        ..fixture.cx.clone()
    };
    let directory = fixture.base("e1").directory;
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("id_rsa.pub"), PUBLIC).unwrap();
    saved.as_object_mut().unwrap().remove("Id");
    let stranger = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    let mut undone = Vec::new();
    for resource in stranger.saved_resources() {
        undone.push(stranger.undo(&resource, &without_journal).await.unwrap());
    }
    assert!(has_key_pair(&fixture, &theirs));
    let [_, instance] = undone.as_slice() else {
        panic!("{undone:?}")
    };
    // Its VPC is unknown to these credentials as well.
    assert!(matches!(instance, Undone::Unresolved(_)), "{instance:?}");
    assert_eq!(fixture.lab.live_instances().len(), 1);

    saved["AccessKey"] = ec2_lab::ec2::ACCESS_KEY.into();
    let own = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    for resource in own.saved_resources() {
        let undone = own.undo(&resource, &without_journal).await.unwrap();
        assert!(matches!(undone, Undone::Gone), "{undone:?}");
    }
    assert_eq!(fixture.lab.key_pairs().len(), 1);
    assert!(has_key_pair(&fixture, &theirs));
}

#[tokio::test]
async fn nor_is_one_that_somebody_has_imported_under_the_name_since() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    fixture.lab.remove_key_pair(ACCOUNT, REGION, "e1");
    let theirs = fixture
        .lab
        .add_key_pair(ACCOUNT, REGION, "e1", OTHER_PUBLIC);
    fixture.lab.clock().advance(Duration::from_secs(600));
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(has_key_pair(&fixture, &theirs));
}

/// Loses the response to a launch, so that its outcome is unknown; returns the launch.
async fn lose_launch(
    fixture: &Fixture,
    machine: &mut Box<dyn machine_driver::Driver>,
    action: &str,
) -> Resource {
    let lab = &fixture.lab;
    let lost = lab.inject(Fault::on(action, Effect::LoseAnswer).always());
    let blind = lab.inject(Fault::error("DescribeInstances", "Unavailable").always());
    fixture.create(machine).await.unwrap_err();
    lab.remove_fault(lost);
    lab.remove_fault(blind);
    lab.clock().advance(Duration::from_secs(600));
    let open = fixture.resources();
    open.into_iter().find(|resource| !resource.made).unwrap()
}

#[tokio::test]
async fn a_copy_of_a_lost_launch_is_whoever_made_it() {
    for action in ["RunInstances", "CreateFleet"] {
        let fleets = Fleet::new().await;
        let fixture = &fleets.fixture;
        let before: Vec<String> = live(fixture);
        let mut machine = match action {
            "CreateFleet" => fleets.machine(&[("retries", "0")]),
            _ => {
                let options = fixture::options(&fixture.flags(&[("retries", "0")]));
                AmazonEc2.configure(&fixture.base("e2"), &options).unwrap()
            }
        };
        let resource = lose_launch(fixture, &mut machine, action).await;
        let launched = live(fixture).into_iter().find(|id| !before.contains(id));
        let launched = launched.unwrap();
        let mut tags = fixture.lab.tags(&launched);
        tags.remove("aws:ec2:fleet-id");
        // The copy has only the tags in common: its client token is unset, or its fleet's.
        let copy = fixture.lab.launch_like(&launched, "", &tags).unwrap();
        if action == "CreateFleet" {
            fixture
                .lab
                .launched_by_fleet(&copy, "somebody-elses")
                .unwrap();
        }
        let undone = machine.undo(&resource, &fixture.cx).await.unwrap();
        assert!(matches!(undone, Undone::Gone), "{action}: {undone:?}");
        let living = live(fixture);
        assert!(living.contains(&copy), "{action}");
        assert!(!living.contains(&launched), "{action}");
        // Once EC2 has forgotten the launch.
        fixture.lab.clock().advance(Duration::from_secs(7200));
        let undone = machine.undo(&resource, &fixture.cx).await.unwrap();
        assert!(live(fixture).contains(&copy), "{action}: {undone:?}");
    }
}

fn live(fixture: &Fixture) -> Vec<String> {
    let live = fixture.lab.live_instances().into_iter();
    live.map(|instance| instance.id).collect()
}

#[tokio::test]
async fn an_id_that_ec2_cannot_read_makes_nothing_forgotten() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(600));
    let mut saved = fixture.journal.driver();
    saved["InstanceId"] = "i-0garbled".into();
    let garbled = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    let resources = garbled.saved_resources();
    let instance = resources.iter().find(|one| one.intent.kind == "instance");
    let without_journal = Cx {
        journal: Arc::<MemoryJournal>::default(),
        ..fixture.cx.clone()
    };
    let error = garbled.undo(instance.unwrap(), &without_journal).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("Malformed"), "{error}");
    assert_eq!(fixture.lab.live_instances().len(), 1);
}
