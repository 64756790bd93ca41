//! Fleets without capacity at EC2: recorded shortages, and further candidates.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Denial, Effect, Fault, Lab, Market, Shortage};
use fixture::fleet::Fleet;
use machine_driver::{DriverErrorKind, DriverKind};

/// The last one is tried first.
const TYPES: [(&str, &str); 2] = [("instance-type", "t3.small"), ("instance-type", "m5.large")];

/// The types of each fleet, in order of preference, and its market.
fn asked(fleet: &Fleet) -> Vec<String> {
    let calls = fleet.fixture.lab.calls();
    let fleets = calls.iter().filter(|call| call.action == "CreateFleet");
    let types = |n: usize| format!("LaunchTemplateConfigs.1.Overrides.{n}.InstanceType");
    fleets
        .map(|call| {
            let all = (1..).map_while(|n| call.params.get(&types(n)).map(String::as_str));
            let market = "TargetCapacitySpecification.DefaultTargetCapacityType";
            let all: Vec<&str> = all.collect();
            format!("{} {}", call.params[market], all.join(" "))
        })
        .collect()
}

#[tokio::test]
async fn fleets_and_launches_share_recorded_shortages() {
    let fleet = Fleet::new().await;
    let fixture = &fleet.fixture;
    let shortage = Shortage::new("InsufficientInstanceCapacity");
    fixture.lab.shortage(shortage.of_type("m5.large"));
    let mut flags = TYPES.to_vec();
    flags.push(("subnet-id", fixture.subnets[&'a'].as_str()));
    for name in ["f1", "f2"] {
        let mut machine = fleet.named(name, &flags);
        fixture.create(&mut machine).await.unwrap();
        assert_eq!(machine.save()["InstanceType"], "t3.small");
    }
    let expected = ["on-demand m5.large t3.small", "on-demand t3.small m5.large"];
    assert_eq!(asked(&fleet), expected);
    // A launch without a fleet reads the record, too. A fleet reads the shortages that a launch recorded.
    let mut launch = AmazonEc2
        .configure(
            &fixture.base("e2"),
            &fixture::options(&fixture.flags(&flags)),
        )
        .unwrap();
    fixture.lab.clear_calls();
    fixture.create(&mut launch).await.unwrap();
    assert_eq!(fixture.lab.count("RunInstances"), 1);
    fixture.lab.clock().advance(Duration::from_secs(600));
    fixture.create(&mut launch).await.unwrap();
    assert_eq!(
        fixture.lab.count("RunInstances"),
        3,
        "the shortage expired and was recorded again"
    );
    fixture
        .create(&mut fleet.named("f3", &flags))
        .await
        .unwrap();
    assert_eq!(asked(&fleet), expected[1..]);
}

#[tokio::test]
async fn a_spot_quota_sends_the_next_fleet_to_the_other_market_first() {
    let fleet = Fleet::new().await;
    let quota = Shortage::new("MaxSpotInstanceCountExceeded");
    fleet.fixture.lab.shortage(quota.on(Market::Spot));
    let mut flags = TYPES.to_vec();
    flags.extend([
        ("request-spot-instance", "true"),
        ("spot-fallback", "capacity"),
    ]);
    for name in ["f1", "f2"] {
        let mut machine = fleet.named(name, &flags);
        fleet.fixture.create(&mut machine).await.unwrap();
        assert_eq!(machine.save()["RequestSpotInstance"], false);
    }
    let (spot, on_demand) = ("spot m5.large t3.small", "on-demand m5.large t3.small");
    assert_eq!(asked(&fleet), [spot, on_demand, on_demand]);
}

#[tokio::test]
async fn a_price_that_is_too_low_falls_back_only_with_any() {
    let fleet = Fleet::new().await;
    let price = Shortage::new("SpotMaxPriceTooLow");
    fleet.fixture.lab.shortage(price.on(Market::Spot));
    for (fallback, is_on_demand) in [("capacity", false), ("any", true)] {
        let mut machine = fleet.machine(&[
            ("request-spot-instance", "true"),
            ("spot-price", "0.001"),
            ("spot-fallback", fallback),
        ]);
        let created = fleet.fixture.create(&mut machine).await;
        assert_eq!(created.is_ok(), is_on_demand, "{fallback}: {created:?}");
    }
}

#[tokio::test]
async fn on_demand_is_tried_only_for_types_without_spot_capacity() {
    let fleet = Fleet::new().await;
    let price = Shortage::new("SpotMaxPriceTooLow").of_type("m5.large");
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("t3.small");
    for shortage in [price, shortage] {
        fleet.fixture.lab.shortage(shortage.on(Market::Spot));
    }
    let mut flags = TYPES.to_vec();
    flags.extend([
        ("request-spot-instance", "true"),
        ("spot-fallback", "capacity"),
    ]);
    let mut machine = fleet.machine(&flags);
    fleet.fixture.create(&mut machine).await.unwrap();
    assert_eq!(
        asked(&fleet),
        ["spot m5.large t3.small", "on-demand t3.small"]
    );
}

#[tokio::test]
async fn a_fleet_whose_instance_ends_is_undone_and_repeated_without_its_override() {
    let fleet = Fleet::with(Lab::builder().pending(Duration::from_secs(20))).await;
    let fixture = &fleet.fixture;
    let shortage = Shortage::new("InsufficientInstanceCapacity");
    fixture
        .lab
        .shortage(shortage.of_type("m5.large").after_launch());
    let mut machine = fleet.machine(&TYPES);
    fixture.create(&mut machine).await.unwrap();
    let first = machine.save()["InstanceId"].clone();
    let ended = fixture.end_of(&*machine).await;
    assert_eq!(ended.kind, DriverErrorKind::Capacity, "{ended}");
    assert!(machine.relaunch(&ended, &fixture.cx).await.unwrap());
    machine.await_address(&fixture.cx).await.unwrap();
    let expected = ["on-demand m5.large t3.small", "on-demand t3.small"];
    assert_eq!(asked(&fleet), expected);
    let saved = machine.save();
    assert_eq!(saved["InstanceType"], "t3.small");
    assert_ne!(saved["InstanceId"], first);
    let [instance] = &fleet.live()[..] else {
        panic!("one instance")
    };
    assert_eq!(saved["InstanceId"], instance.id.as_str());
    let open: Vec<_> = fixture
        .resources()
        .into_iter()
        .filter_map(|r| r.id)
        .collect();
    assert!(!open.iter().any(|id| first == id.as_str()), "{open:?}");
    fixture.undo(&*machine).await;
    assert_eq!(fleet.live().len(), 0);
}

#[tokio::test]
async fn with_the_templates_type_only_the_other_market_is_tried() {
    let spot = [("request-spot-instance", "true"), ("spot-fallback", "true")];
    for (flags, goes_on) in [(&spot[..1], false), (&spot[..], true)] {
        let fleet = Fleet::with(Lab::builder().pending(Duration::from_secs(20))).await;
        let fixture = &fleet.fixture;
        let ended = Shortage::new("SpotInstanceTermination").on(Market::Spot);
        fixture.lab.shortage(ended.after_launch());
        let mut machine = fleet.machine(flags);
        fixture.create(&mut machine).await.unwrap();
        let ended = fixture.end_of(&*machine).await;
        assert_eq!(
            machine.relaunch(&ended, &fixture.cx).await.unwrap(),
            goes_on
        );
        assert_eq!(machine.save()["RequestSpotInstance"], !goes_on);
        fixture.undo(&*machine).await;
        assert_eq!(fleet.live().len(), 0);
    }
}

#[tokio::test]
async fn an_untagged_fleet_is_found_by_its_client_token() {
    let fleet = Fleet::new().await;
    let lab = &fleet.fixture.lab;
    lab.deny(Denial::of("ec2:CreateTags"));
    // Calls with all tags, with the user's tags, without the instance's tags, and without tags: the fourth succeeds,
    // and its
    // answer is lost.
    lab.inject(
        Fault::on("CreateFleet", Effect::LoseAnswer)
            .after(3)
            .times(2),
    );
    let mut machine = fleet.machine(&[("retries", "0")]);
    fleet.fixture.create(&mut machine).await.unwrap();
    let calls = lab.calls();
    let fleets = calls.iter().filter(|call| call.action == "CreateFleet");
    let tokens: Vec<&String> = fleets.map(|call| &call.params["ClientToken"]).collect();
    assert_eq!(tokens.len(), 6);
    assert!(tokens[3] == tokens[4] && tokens[4] == tokens[5]);
    let [instance] = &fleet.live()[..] else {
        panic!("one instance")
    };
    assert_eq!(machine.save()["InstanceId"], instance.id.as_str());
    fleet.fixture.undo(&*machine).await;
    assert_eq!(fleet.live().len(), 0);
}
