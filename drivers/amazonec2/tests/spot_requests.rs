//! A spot request that EC2 leaves open behind a refusal: cancelled, or on record until it is.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use ec2_lab::ec2::{Denial, Effect, Fault, Lab};
use fixture::Fixture;
use machine_driver::DriverErrorKind;

/// A spot launch whose price is too low.
const TOO_LOW: [(&str, &str); 2] = [("request-spot-instance", "true"), ("spot-price", "0.02")];

/// A fixture in which spot instances cost more than that.
async fn fixture() -> Fixture {
    Fixture::with(Lab::builder().spot_price(0.05)).await
}

/// Lets the price fall, and counts the instances that there are then.
fn once_the_price_falls(fixture: &Fixture) -> usize {
    fixture.lab.set_spot_price(0.001);
    fixture.lab.live_instances().len()
}

#[tokio::test]
async fn a_price_that_is_too_low_leaves_no_spot_request_open() {
    let fixture = fixture().await;
    let mut machine = fixture.machine(&TOO_LOW);
    fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(fixture.lab.spot_requests()[0].state, "cancelled");
    assert_eq!(once_the_price_falls(&fixture), 0);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn nor_where_the_machine_goes_on_demand() {
    let fixture = fixture().await;
    let mut flags = TOO_LOW.to_vec();
    flags.push(("spot-fallback", "any"));
    let machine = fixture.created(&flags).await;
    assert_eq!(machine.save()["RequestSpotInstance"], false);
    assert_eq!(once_the_price_falls(&fixture), 1);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn nor_where_the_first_answer_was_lost() {
    for effect in [Effect::Drop, Effect::LoseAnswer] {
        let fixture = fixture().await;
        fixture.lab.inject(Fault::on("RunInstances", effect));
        let mut machine = fixture.machine(&TOO_LOW);
        fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(once_the_price_falls(&fixture), 0);
        let open = fixture.lab.spot_requests();
        assert!(
            open.iter().all(|request| request.state == "cancelled"),
            "{open:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_is_fulfilled_before_it_is_cancelled_is_the_machines() {
    let fixture = fixture().await;
    let gate = fixture.lab.hold("DescribeSpotInstanceRequests");
    let mut machine = fixture.machine(&TOO_LOW);
    let meanwhile = async {
        gate.arrived(1).await;
        assert_eq!(once_the_price_falls(&fixture), 1);
        gate.open();
    };
    let (created, ()) = tokio::join!(fixture.create(&mut machine), meanwhile);
    created.unwrap();
    let [instance] = &fixture.lab.live_instances()[..] else {
        panic!("one instance")
    };
    assert_eq!(machine.save()["InstanceId"], instance.id.as_str());
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_request_that_cannot_be_cancelled_now_stays_on_record() {
    for action in ["DescribeSpotInstanceRequests", "CancelSpotInstanceRequests"] {
        let fixture = fixture().await;
        fixture
            .lab
            .inject(Fault::error(action, "Unavailable").always());
        let mut machine = fixture.machine(&TOO_LOW);
        fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(fixture.lab.spot_requests()[0].state, "open", "{action}");
        fixture.lab.heal();
        fixture.undo(&*machine).await;
        assert_eq!(
            fixture.lab.spot_requests()[0].state,
            "cancelled",
            "{action}"
        );
        assert!(
            fixture.lab.clean(),
            "{action}: {:?}",
            fixture.lab.left_over()
        );
    }
}

#[tokio::test]
async fn where_the_policy_denies_it_the_user_is_told() {
    for action in [
        "ec2:DescribeSpotInstanceRequests",
        "ec2:CancelSpotInstanceRequests",
    ] {
        let fixture = fixture().await;
        fixture.lab.deny(Denial::of(action));
        let mut flags = TOO_LOW.to_vec();
        flags.push(("spot-fallback", "any"));
        let machine = fixture.created(&flags).await;
        assert_eq!(machine.save()["RequestSpotInstance"], false, "{action}");
        let told = fixture.told.lines();
        assert!(
            told.contains("cannot cancel the refused spot request"),
            "{told}"
        );
        assert!(fixture.undo(&*machine).await.is_clean(), "{action}");
    }
}

#[tokio::test]
async fn a_request_without_a_tag_of_ours_is_told() {
    let fixture = fixture().await;
    let mut flags = TOO_LOW.to_vec();
    flags.push(("no-owner-tags", "true"));
    let error = fixture
        .create(&mut fixture.machine(&flags))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity, "{error}");
    let told = fixture.told.lines();
    assert!(told.contains("it carries no tag to find it by"), "{told}");
}
