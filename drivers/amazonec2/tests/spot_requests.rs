//! A spot request that EC2 leaves open behind a refusal: cancelled, or on record until it is.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use ec2_lab::ec2::{Denial, Effect, Fault, Lab};
use machine_driver::DriverErrorKind;
use room::Room;

/// A spot launch whose price is too low.
const TOO_LOW: [(&str, &str); 2] = [("request-spot-instance", "true"), ("spot-price", "0.02")];

/// A room in which spot instances cost more than that.
async fn room() -> Room {
    Room::with(Lab::builder().spot_price(0.05)).await
}

/// Lets the price fall, and counts the instances that there are then.
fn once_the_price_falls(room: &Room) -> usize {
    room.lab.set_spot_price(0.001);
    room.lab.live_instances().len()
}

#[tokio::test]
async fn a_price_that_is_too_low_leaves_no_spot_request_open() {
    let room = room().await;
    let mut machine = room.machine(&TOO_LOW);
    room.create(&mut machine).await.unwrap_err();
    assert_eq!(room.lab.spot_requests()[0].state, "cancelled");
    assert_eq!(once_the_price_falls(&room), 0);
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn nor_where_the_machine_goes_on_demand() {
    let room = room().await;
    let mut flags = TOO_LOW.to_vec();
    flags.push(("spot-fallback", "any"));
    let machine = room.created(&flags).await;
    assert_eq!(machine.save()["RequestSpotInstance"], false);
    assert_eq!(once_the_price_falls(&room), 1);
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn nor_where_the_first_answer_was_lost() {
    for effect in [Effect::Drop, Effect::LoseAnswer] {
        let room = room().await;
        room.lab.inject(Fault::on("RunInstances", effect));
        let mut machine = room.machine(&TOO_LOW);
        room.create(&mut machine).await.unwrap_err();
        assert_eq!(once_the_price_falls(&room), 0);
        let open = room.lab.spot_requests();
        assert!(
            open.iter().all(|request| request.state == "cancelled"),
            "{open:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_is_fulfilled_before_it_is_cancelled_is_the_machines() {
    let room = room().await;
    let gate = room.lab.hold("DescribeSpotInstanceRequests");
    let mut machine = room.machine(&TOO_LOW);
    let meanwhile = async {
        gate.arrived(1).await;
        assert_eq!(once_the_price_falls(&room), 1);
        gate.open();
    };
    let (created, ()) = tokio::join!(room.create(&mut machine), meanwhile);
    created.unwrap();
    let [instance] = &room.lab.live_instances()[..] else {
        panic!("one instance")
    };
    assert_eq!(machine.save()["InstanceId"], instance.id.as_str());
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn a_request_that_cannot_be_cancelled_now_stays_on_record() {
    for action in ["DescribeSpotInstanceRequests", "CancelSpotInstanceRequests"] {
        let room = room().await;
        room.lab
            .inject(Fault::error(action, "Unavailable").always());
        let mut machine = room.machine(&TOO_LOW);
        room.create(&mut machine).await.unwrap_err();
        assert_eq!(room.lab.spot_requests()[0].state, "open", "{action}");
        room.lab.heal();
        room.undo(&*machine).await;
        assert_eq!(room.lab.spot_requests()[0].state, "cancelled", "{action}");
        assert!(room.lab.clean(), "{action}: {:?}", room.lab.left_over());
    }
}

#[tokio::test]
async fn where_the_policy_denies_it_the_user_is_told() {
    for action in [
        "ec2:DescribeSpotInstanceRequests",
        "ec2:CancelSpotInstanceRequests",
    ] {
        let room = room().await;
        room.lab.deny(Denial::of(action));
        let mut flags = TOO_LOW.to_vec();
        flags.push(("spot-fallback", "any"));
        let machine = room.created(&flags).await;
        assert_eq!(machine.save()["RequestSpotInstance"], false, "{action}");
        let told = room.told.lines();
        assert!(
            told.contains("cannot cancel the refused spot request"),
            "{told}"
        );
        assert!(room.undo(&*machine).await.is_clean(), "{action}");
    }
}

#[tokio::test]
async fn a_request_without_a_tag_of_ours_is_told() {
    let room = room().await;
    let mut flags = TOO_LOW.to_vec();
    flags.push(("no-owner-tags", "true"));
    let error = room.create(&mut room.machine(&flags)).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity, "{error}");
    let told = room.told.lines();
    assert!(told.contains("it carries no tag to find it by"), "{told}");
}
