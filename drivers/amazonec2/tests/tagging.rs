//! Where tagging is refused: with less, then afterwards, and found again by the client token.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use ec2_lab::ec2::{Denial, Effect, Fault};
use machine_driver::DriverErrorKind;
use room::Room;

const TAGS: (&str, &str) = ("tags", "team,x");

#[tokio::test]
async fn where_a_volume_may_not_be_tagged_the_instance_is_afterwards() {
    let room = Room::new().await;
    room.lab
        .deny(Denial::of("ec2:CreateTags").on_resource("volume"));
    let machine = room.created(&[TAGS]).await;
    assert_eq!(
        room.lab.count("RunInstances"),
        3,
        "all tags, the user's, none"
    );
    let [instance] = &room.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let tags = room.lab.tags(&instance.id);
    assert_eq!(tags["Name"], "e1");
    assert_eq!(tags["team"], "x");
    assert_eq!(tags.len(), 2);
    assert_eq!(room.told.lines().matches("fewer tags").count(), 2);
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn where_nothing_may_be_tagged_a_lost_launch_is_found_by_its_token() {
    let room = Room::new().await;
    room.lab.deny(Denial::of("ec2:CreateTags"));
    let machine = room.created(&[TAGS]).await;
    let instance = &room.lab.live_instances()[0];
    assert!(room.lab.tags(&instance.id).is_empty());
    let told = room.told.lines();
    assert!(told.contains("the instance stays without tags"), "{told}");
    assert!(room.undo(&*machine).await.is_clean());

    let lost = Fault::on("RunInstances", Effect::LoseAnswer)
        .when(|call| !call.params.keys().any(|name| name.starts_with("TagSpec")))
        .always();
    let lost = room.lab.inject(lost);
    let blind = room
        .lab
        .inject(Fault::error("DescribeInstances", "Unavailable").always());
    let mut machine = room.machine(&[TAGS, ("retries", "0")]);
    room.create(&mut machine).await.unwrap_err();
    assert_eq!(room.lab.live_instances().len(), 1);
    room.lab.remove_fault(lost);
    room.lab.remove_fault(blind);
    assert!(room.undo(&*room.reloaded()).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn a_refusal_that_hides_its_action_is_tried_with_fewer_tags_and_then_final() {
    let room = Room::new().await;
    let refusal = Effect::Error {
        code: "UnauthorizedOperation".into(),
        message: "You are not authorized to perform this operation.".into(),
        status: None,
    };
    room.lab.inject(Fault::on("RunInstances", refusal).always());
    let error = room.create(&mut room.machine(&[])).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Denied);
    assert_eq!(room.lab.count("RunInstances"), 3);
}

#[tokio::test]
async fn a_tag_policy_costs_our_tags_and_a_users_tag_that_breaks_it_is_told() {
    let room = Room::new().await;
    let ours = |call: &ec2_lab::ec2::Call| {
        let mut values = call.params.values();
        values.any(|value| value.starts_with("docker-machine:"))
    };
    room.lab.inject(
        Fault::error("RunInstances", "TagPolicyViolation")
            .when(ours)
            .always(),
    );
    let machine = room.created(&[TAGS]).await;
    let instance = &room.lab.live_instances()[0];
    assert_eq!(room.lab.tags(&instance.id)["team"], "x");
    assert!(room.undo(&*machine).await.is_clean());
    room.lab
        .inject(Fault::error("RunInstances", "TagPolicyViolation").always());
    let error = room.create(&mut room.machine(&[TAGS])).await.unwrap_err();
    assert!(error.to_string().contains("TagPolicyViolation"), "{error}");
}
