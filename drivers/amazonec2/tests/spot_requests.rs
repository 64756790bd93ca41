//! A spot request that EC2 leaves open after a refusal is cancelled, or stays on record until it is.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use ec2_lab::ec2::{ACCOUNT, Denial, Effect, Fault, Lab};
use fixture::{Fixture, PUBLIC, REGION};
use machine_driver::DriverErrorKind;

/// A spot launch with a price that is too low.
const TOO_LOW: [(&str, &str); 2] = [("request-spot-instance", "true"), ("spot-price", "0.02")];

/// A fixture in which spot instances cost more than this price.
async fn fixture() -> Fixture {
    Fixture::with(Lab::builder().spot_price(0.05)).await
}

/// Lowers the price, and returns the number of instances after that.
fn instances_after_price_drop(fixture: &Fixture) -> usize {
    fixture.lab.set_spot_price(0.001);
    fixture.lab.live_instances().len()
}

#[tokio::test]
async fn a_refused_price_leaves_no_open_spot_request() {
    let fixture = fixture().await;
    let mut machine = fixture.machine(&TOO_LOW);
    fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(fixture.lab.spot_requests()[0].state, "cancelled");
    assert_eq!(instances_after_price_drop(&fixture), 0);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_fallback_to_on_demand_leaves_no_open_spot_request() {
    let fixture = fixture().await;
    let mut flags = TOO_LOW.to_vec();
    flags.push(("spot-fallback", "any"));
    let machine = fixture.created(&flags).await;
    assert_eq!(machine.save()["RequestSpotInstance"], false);
    assert_eq!(instances_after_price_drop(&fixture), 1);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_lost_first_answer_leaves_no_open_spot_request() {
    for effect in [Effect::Drop, Effect::LoseAnswer] {
        let fixture = fixture().await;
        fixture.lab.inject(Fault::on("RunInstances", effect));
        let mut machine = fixture.machine(&TOO_LOW);
        fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(instances_after_price_drop(&fixture), 0);
        let open = fixture.lab.spot_requests();
        assert!(
            open.iter().all(|request| request.state == "cancelled"),
            "{open:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_is_fulfilled_before_its_cancellation_is_used() {
    let fixture = fixture().await;
    let gate = fixture.lab.hold("DescribeSpotInstanceRequests");
    let mut machine = fixture.machine(&TOO_LOW);
    let meanwhile = async {
        gate.arrived(1).await;
        assert_eq!(instances_after_price_drop(&fixture), 1);
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
async fn a_request_that_cannot_be_cancelled_stays_on_record() {
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
async fn a_cancellation_that_the_policy_denies_is_reported() {
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
async fn a_request_without_a_tag_of_ours_is_found_by_the_machines_own_key_pair() {
    for is_lost in [false, true] {
        let fixture = fixture().await;
        // A request of an unrelated launch with another key pair, which must be left alone.
        let theirs = [("keypair-name", "theirs")];
        fixture.lab.add_key_pair(ACCOUNT, REGION, "theirs", PUBLIC);
        let key = fixture.store.path().join("key");
        std::fs::write(&key, "private").unwrap();
        let key = key.display().to_string();
        let other = [
            &TOO_LOW[..],
            &theirs,
            &[("no-owner-tags", "true"), ("ssh-keypath", &key)],
        ];
        fixture
            .create(&mut fixture.machine(&other.concat()))
            .await
            .unwrap_err();
        let told = fixture.told.lines();
        assert!(told.contains("it carries no tag to find it by"), "{told}");

        if is_lost {
            let lost = Fault::on("DescribeSpotInstanceRequests", Effect::Drop).always();
            fixture.lab.inject(lost);
        }
        let flags = [&TOO_LOW[..], &[("no-owner-tags", "true"), ("retries", "0")]];
        let mut machine = fixture.machine(&flags.concat());
        fixture.create(&mut machine).await.unwrap_err();
        fixture.lab.heal();
        fixture.lab.clock().advance(Duration::from_secs(600));
        let report = fixture.undo(&*machine).await;
        // The other machine's launch is on the same record.
        assert!(report.left.len() <= 1, "{:?}", report.left);
        let states: Vec<(Option<String>, String)> = fixture
            .lab
            .spot_requests()
            .into_iter()
            .map(|request| (request.key_name, request.state))
            .collect();
        for (key, state) in states {
            let expected = if key.as_deref() == Some("e1") {
                "cancelled"
            } else {
                "open"
            };
            assert_eq!(state, expected, "{key:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_owner_tags_and_with_the_users_key_pair_is_reported() {
    let fixture = fixture().await;
    fixture.lab.add_key_pair(ACCOUNT, REGION, "theirs", PUBLIC);
    let key = fixture.store.path().join("key");
    std::fs::write(&key, "private").unwrap();
    let key = key.display().to_string();
    let mut flags = TOO_LOW.to_vec();
    flags.extend([
        ("no-owner-tags", "true"),
        ("keypair-name", "theirs"),
        ("ssh-keypath", &key),
    ]);
    let error = fixture
        .create(&mut fixture.machine(&flags))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity, "{error}");
    let told = fixture.told.lines();
    assert!(told.contains("it carries no tag to find it by"), "{told}");
}
