//! What an undo removes, what it leaves on record, and where it looks.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Blindness, Effect, Fault, Kind, Lab, OTHER_ACCESS_KEY, Shortage};
use machine_driver::{DriverErrorKind, DriverKind as _};
use machine_types::MachineState;
use room::fleet::Fleet;
use room::{REGION, Room};

#[tokio::test]
async fn a_launch_that_nobody_answered_is_found_by_its_token_and_undone() {
    let room = Room::new().await;
    let mut machine = room.machine(&[("retries", "0")]);
    let lost = room
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer).always());
    let blind = room
        .lab
        .inject(Fault::error("DescribeInstances", "Unavailable").always());
    let error = room.create(&mut machine).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Unavailable, "{error}");
    assert_eq!(room.lab.live_instances().len(), 1);
    room.lab.remove_fault(lost);
    room.lab.remove_fault(blind);
    let reloaded = room.reloaded();
    let report = room.undo(&*reloaded).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn a_listing_that_does_not_end_makes_nothing_forgotten() {
    let room = Room::new().await;
    let mut machine = room.machine(&[("retries", "0")]);
    let lost = Fault::on("RunInstances", Effect::LoseAnswer).always();
    let lost = room.lab.inject(lost);
    let endless =
        "<DescribeInstancesResponse><nextToken>next</nextToken></DescribeInstancesResponse>";
    let endless = Fault::on("DescribeInstances", Effect::Garble(endless.into())).always();
    let endless = room.lab.inject(endless);
    room.create(&mut machine).await.unwrap_err();
    room.lab.remove_fault(lost);
    room.lab.clock().advance(Duration::from_secs(600));
    let report = room.undo(&*room.reloaded()).await;
    assert_eq!(report.left.len(), 1, "{:?}", report.left);
    assert_eq!(room.lab.live_instances().len(), 1);
    room.lab.remove_fault(endless);
    assert!(room.undo(&*room.reloaded()).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn an_instance_that_ec2_does_not_know_yet_is_not_forgotten() {
    let room = Room::new().await;
    room.lab.blind(Kind::Instance, Blindness::whole_window());
    let machine = room.created(&[]).await;
    assert_eq!(
        machine.state(&room.cx).await.unwrap(),
        MachineState::Starting
    );
    let report = room.undo(&*machine).await;
    assert_eq!(report.left.len(), 1, "the instance stays on record");
    room.lab.clock().advance(Duration::from_secs(300));
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn nor_is_one_that_ended_before_another_was_launched() {
    let room = Room::with(Lab::builder().pending(Duration::from_secs(20))).await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    room.lab.shortage(shortage.after_launch());
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let mut machine = room.created(&types).await;
    let first = machine.save()["InstanceId"].as_str().unwrap().to_owned();
    let ended = room.end_of(&*machine).await;
    let unknown = Fault::error("TerminateInstances", "InvalidInstanceID.NotFound");
    let unknown = room.lab.inject(unknown.always());
    assert!(machine.relaunch(&ended, &room.cx).await.unwrap());
    let second = machine.save()["InstanceId"].as_str().unwrap().to_owned();
    let open: Vec<_> = room.resources().into_iter().filter_map(|r| r.id).collect();
    assert!(open.contains(&first) && open.contains(&second), "{open:?}");
    room.lab.remove_fault(unknown);
    let report = room.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn credentials_of_another_account_make_nothing_forgotten() {
    let room = Room::new().await;
    room.created(&[]).await;
    room.lab.clock().advance(Duration::from_secs(600));
    let mut saved = room.journal.driver();
    saved["AccessKey"] = OTHER_ACCESS_KEY.into();
    let stranger = AmazonEc2.load(&room.base("e1"), &saved).unwrap();
    let report = room.undo(&*stranger).await;
    let kinds = report
        .left
        .iter()
        .map(|left| left.resource.intent.kind.as_str());
    assert_eq!(kinds.collect::<Vec<_>>(), ["key-pair", "instance"]);
    assert_eq!(room.lab.live_instances().len(), 1);
    assert_eq!(room.lab.key_pairs().len(), 1);
    assert!(room.undo(&*room.reloaded()).await.is_clean());
}

#[tokio::test]
async fn nor_do_those_of_another_account_where_only_the_key_pair_was_made() {
    let room = Room::new().await;
    room.lab
        .inject(Fault::error("RunInstances", "UnauthorizedOperation").always());
    let mut machine = room.machine(&[]);
    room.create(&mut machine).await.unwrap_err();
    room.lab.clock().advance(Duration::from_secs(600));
    let mut saved = room.journal.driver();
    saved["AccessKey"] = OTHER_ACCESS_KEY.into();
    let stranger = AmazonEc2.load(&room.base("e1"), &saved).unwrap();
    assert_eq!(room.undo(&*stranger).await.left.len(), 1);
    assert_eq!(room.lab.key_pairs().len(), 1);
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn what_was_made_is_looked_for_where_it_was_made() {
    let room = Room::with(Lab::builder().regions([REGION, "eu-west-1"])).await;
    room.created(&[]).await;
    room.lab.clock().advance(Duration::from_secs(600));
    let mut saved = room.journal.driver();
    saved["Region"] = "eu-west-1".into();
    let moved = AmazonEc2.load(&room.base("e1"), &saved).unwrap();
    assert!(room.undo(&*moved).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn what_is_gone_already_is_gone() {
    let room = Room::new().await;
    let machine = room.created(&[]).await;
    room.lab.clock().advance(Duration::from_secs(600));
    assert!(room.undo(&*machine).await.is_clean());
    room.lab.clock().advance(Duration::from_secs(7200));
    for resource in machine.saved_resources() {
        let undone = machine.undo(&resource, &room.cx).await.unwrap();
        assert!(matches!(undone, machine_ops::Undone::Gone), "{undone:?}");
    }
}

#[tokio::test]
async fn an_undo_of_a_lost_launch_relies_on_no_answer_without_its_tag() {
    for fleet in [false, true] {
        let fleets = Fleet::new().await;
        let room = &fleets.room;
        let action = if fleet { "CreateFleet" } else { "RunInstances" };
        let lost = room
            .lab
            .inject(Fault::on(action, Effect::LoseAnswer).always());
        let blind = room
            .lab
            .inject(Fault::error("DescribeInstances", "Unavailable").always());
        let mut machine = match fleet {
            true => fleets.machine(&[("retries", "0")]),
            false => {
                let options = room::options(&room.flags(&[("retries", "0")]));
                AmazonEc2.configure(&room.base("e2"), &options).unwrap()
            }
        };
        room.create(&mut machine).await.unwrap_err();
        room.lab.remove_fault(lost);
        room.lab.remove_fault(blind);
        let before = room.lab.live_instances().len();
        assert_eq!(before, 2, "the room's own, and the lost one");
        let ignores = room
            .lab
            .inject(Fault::on("Describe*", Effect::Unfiltered).always());
        let own: Vec<_> = room.resources().into_iter().filter(|r| !r.made).collect();
        let [resource] = own.as_slice() else {
            panic!("{own:?}")
        };
        let error = machine.undo(resource, &room.cx).await.unwrap_err();
        assert!(error.to_string().contains("cannot rely on"), "{error}");
        assert_eq!(room.lab.live_instances().len(), before);
        room.lab.remove_fault(ignores);
        machine.undo(resource, &room.cx).await.unwrap();
        assert_eq!(room.lab.live_instances().len(), before - 1);
    }
}
