//! Missing capacity at EC2: the chosen candidate, the undo of ended launches before it, and the record for other
//! creates.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Effect, Fault, Lab, Market, Shortage};
use fixture::Fixture;
use machine_driver::{DriverErrorKind, DriverKind};
use machine_ops::{Journal, Phase};

const TYPES: [(&str, &str); 3] = [
    ("instance-type", "t3.small"),
    ("instance-type", "c5.large"),
    ("instance-type", "m5.large"),
];

/// The attempted types in order, with their zone and market.
fn tried(fixture: &Fixture) -> Vec<String> {
    let calls = fixture.lab.calls();
    let runs = calls.iter().filter(|call| call.action == "RunInstances");
    runs.map(|call| {
        let spot = call.params.contains_key("InstanceMarketOptions.MarketType");
        let subnet = &call.params["NetworkInterface.1.SubnetId"];
        let zone = fixture
            .subnets
            .iter()
            .find(|(_, id)| *id == subnet)
            .unwrap()
            .0;
        let market = if spot { " spot" } else { "" };
        format!("{} {zone}{market}", call.params["InstanceType"])
    })
    .collect()
}

#[tokio::test]
async fn the_last_value_is_tried_first_and_the_others_in_order() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity"));
    let mut flags = TYPES.to_vec();
    let subnets = ['a', 'b', 'c'].map(|zone| fixture.subnets[&zone].clone());
    flags.extend(subnets.iter().map(|subnet| ("subnet-id", subnet.as_str())));
    let error = fixture
        .create(&mut fixture.machine(&flags))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity);
    assert_eq!(
        tried(&fixture),
        [
            "m5.large c",
            "m5.large a",
            "m5.large b",
            "t3.small c",
            "t3.small a",
            "t3.small b",
            "c5.large c",
            "c5.large a",
            "c5.large b"
        ]
    );
    let tokens: std::collections::BTreeSet<_> = fixture
        .lab
        .calls()
        .into_iter()
        .filter_map(|call| call.params.get("ClientToken").cloned())
        .collect();
    assert_eq!(tokens.len(), 9, "each candidate needs a separate token");
    let journal = fixture.journal.entries().unwrap();
    let refused = journal.iter().filter(|e| e.phase == Phase::NotMade);
    assert_eq!(refused.count(), 9);
}

#[tokio::test]
async fn each_capacity_error_leads_to_another_candidate() {
    for code in [
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientVolumeCapacity",
        "InsufficientAddressCapacity",
        "ReservationCapacityExceeded",
        "VolumeTypeNotAvailableInZone",
        "Unsupported",
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "UnfulfillableCapacity",
    ] {
        let fixture = Fixture::new().await;
        fixture.lab.shortage(
            Shortage::new(code)
                .of_type("m5.large")
                .in_zone("us-east-1c"),
        );
        let subnets = ['a', 'c'].map(|zone| fixture.subnets[&zone].clone());
        let machine = fixture
            .created(&[
                ("instance-type", "t3.small"),
                ("instance-type", "m5.large"),
                ("subnet-id", &subnets[0]),
                ("subnet-id", &subnets[1]),
            ])
            .await;
        let saved = machine.save();
        assert_eq!(saved["InstanceType"], "m5.large", "{code}");
        assert_eq!(saved["SubnetId"], subnets[0].as_str(), "{code}");
        assert_eq!(
            saved["Zone"], "us-east-1a",
            "{code}: the subnet determines the zone"
        );
        assert_eq!(tried(&fixture), ["m5.large c", "m5.large a"], "{code}");
        let told = fixture.told.lines();
        assert!(
            told.contains(&format!(
                "No m5.large in us-east-1c ({}): {code}. Trying m5.large in us-east-1a",
                subnets[1]
            )),
            "{told}"
        );
        assert!(fixture.undo(&*machine).await.is_clean(), "{code}");
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn other_errors_are_final() {
    for code in [
        "AuthFailure",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidSubnetID.NotFound",
        "VPCIdNotSpecified",
        "OptInRequired",
        "Blocked",
        "PendingVerification",
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::error("RunInstances", code).always());
        fixture
            .create(&mut fixture.machine(&TYPES))
            .await
            .unwrap_err();
        assert_eq!(tried(&fixture), ["m5.large a"], "{code}");
        assert!(
            fixture.undo(&*fixture.reloaded()).await.is_clean(),
            "{code}"
        );
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn all_spot_candidates_precede_on_demand() {
    let spot = ("request-spot-instance", "true");
    for (fallback, code, expected) in [
        (
            "capacity",
            "InsufficientInstanceCapacity",
            &[
                "m5.large a spot",
                "t3.small a spot",
                "c5.large a spot",
                "m5.large a",
            ][..],
        ),
        (
            "any",
            "SpotMaxPriceTooLow",
            &[
                "m5.large a spot",
                "t3.small a spot",
                "c5.large a spot",
                "m5.large a",
            ],
        ),
        (
            "capacity",
            "SpotMaxPriceTooLow",
            &["m5.large a spot", "t3.small a spot", "c5.large a spot"],
        ),
        (
            "any",
            "MaxSpotInstanceCountExceeded",
            &[
                "m5.large a spot",
                "t3.small a spot",
                "c5.large a spot",
                "m5.large a",
            ],
        ),
    ] {
        let fixture = Fixture::new().await;
        fixture.lab.shortage(Shortage::new(code).on(Market::Spot));
        let mut flags = TYPES.to_vec();
        flags.extend([spot, ("spot-fallback", fallback)]);
        let mut machine = fixture.machine(&flags);
        let result = fixture.create(&mut machine).await;
        assert_eq!(tried(&fixture), expected, "{fallback} {code}: {result:?}");
        let on_demand = expected.last() == Some(&"m5.large a");
        assert_eq!(result.is_ok(), on_demand);
        if on_demand {
            assert_eq!(machine.save()["RequestSpotInstance"], false);
        }
    }
}

#[tokio::test]
async fn a_price_that_is_too_low_for_one_type_may_be_enough_for_another() {
    let too_low = |fixture: &Fixture, kind: &str| {
        let price = Shortage::new("SpotMaxPriceTooLow").on(Market::Spot);
        fixture.lab.shortage(price.of_type(kind));
    };
    let mut flags = TYPES.to_vec();
    flags.push(("request-spot-instance", "true"));
    for fallback in ["", "capacity", "any"] {
        let fixture = Fixture::new().await;
        too_low(&fixture, "m5.large");
        let mut flags = flags.clone();
        if !fallback.is_empty() {
            flags.push(("spot-fallback", fallback));
        }
        fixture.created(&flags).await;
        assert_eq!(
            tried(&fixture),
            ["m5.large a spot", "t3.small a spot"],
            "{fallback:?}"
        );
    }
    // Only the type without capacity is launched on demand. The fallback does not cover a higher price for the other
    // type.
    let fixture = Fixture::new().await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").on(Market::Spot);
    too_low(&fixture, "m5.large");
    fixture.lab.shortage(shortage);
    flags.push(("spot-fallback", "capacity"));
    let machine = fixture.created(&flags).await;
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    let expected = [
        "m5.large a spot",
        "t3.small a spot",
        "c5.large a spot",
        "t3.small a",
    ];
    assert_eq!(tried(&fixture), expected);
}

#[tokio::test]
async fn a_quota_of_one_type_does_not_exclude_another() {
    for (kind, code, market) in [
        ("g4dn.xlarge", "MaxSpotInstanceCountExceeded", Market::Spot),
        ("c5.large", "MaxSpotInstanceCountExceeded", Market::Spot),
        ("g4dn.xlarge", "VcpuLimitExceeded", Market::OnDemand),
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .shortage(Shortage::new(code).of_type(kind).on(market));
        let (spot, shown) = match market {
            Market::Spot => ("true", " spot"),
            Market::OnDemand => ("false", ""),
        };
        let of_market = [
            ("request-spot-instance", spot),
            ("spot-fallback", "capacity"),
            ("instance-type", "t3.small"),
        ];
        let mut both = of_market.to_vec();
        both.push(("instance-type", kind));
        for (name, flags, expected) in [
            (
                "e1",
                &both[..],
                vec![format!("{kind} a{shown}"), format!("t3.small a{shown}")],
            ),
            ("e2", &of_market[..], vec![format!("t3.small a{shown}")]),
            ("e3", &both[..], vec![format!("t3.small a{shown}")]),
        ] {
            fixture.lab.clear_calls();
            let options = fixture::options(&fixture.flags(flags));
            let mut machine = AmazonEc2.configure(&fixture.base(name), &options).unwrap();
            fixture.create(&mut machine).await.unwrap();
            assert_eq!(tried(&fixture), expected, "{code} of {kind}, {name}");
        }
    }
}

#[tokio::test]
async fn an_instance_that_ends_for_lack_of_capacity_is_undone_before_the_next_candidate() {
    for (code, market) in [
        ("InsufficientInstanceCapacity", "false"),
        ("SpotInstanceTermination", "true"),
    ] {
        let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
        fixture
            .lab
            .shortage(Shortage::new(code).of_type("m5.large").after_launch());
        let mut flags = TYPES.to_vec();
        flags.push(("request-spot-instance", market));
        let mut machine = fixture.created(&flags).await;
        let first = machine.save()["InstanceId"].clone();
        let ended = fixture.end_of(&*machine).await;
        assert_eq!(ended.kind, DriverErrorKind::Capacity, "{ended}");
        assert!(machine.relaunch(&ended, &fixture.cx).await.unwrap());
        machine.await_address(&fixture.cx).await.unwrap();

        let saved = machine.save();
        assert_ne!(saved["InstanceId"], first);
        assert_eq!(saved["InstanceType"], "t3.small");
        assert_eq!(fixture.journal.driver(), saved);
        let [instance] = &fixture.lab.live_instances()[..] else {
            panic!("one instance")
        };
        assert_eq!(saved["InstanceId"], instance.id.as_str());
        let open: Vec<_> = fixture
            .resources()
            .into_iter()
            .filter_map(|r| r.id)
            .collect();
        assert!(
            !open.contains(&first.as_str().unwrap().to_owned()),
            "{open:?}"
        );
        assert!(open.contains(&instance.id), "{open:?}");
        // The next create skips the recorded shortage.
        let mut next = AmazonEc2
            .configure(
                &fixture.base("e2"),
                &fixture::options(&fixture.flags(&flags)),
            )
            .unwrap();
        fixture.create(&mut next).await.unwrap();
        assert_eq!(next.save()["InstanceType"], "t3.small");
        let report = fixture.undo(&*machine).await;
        assert!(report.is_clean(), "{:?}", report.left);
        assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn an_instance_that_ends_during_the_wait_for_its_address_is_reported() {
    let fixture = Fixture::with(
        Lab::builder()
            .pending(Duration::from_secs(20))
            .public_addresses([]),
    )
    .await;
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").after_launch());
    let mut machine = fixture.machine(&[("use-private-address", "false")]);
    let ended = fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(ended.kind, DriverErrorKind::Capacity, "{ended}");
    assert!(
        !machine.relaunch(&ended, &fixture.cx).await.unwrap(),
        "there is no other candidate"
    );
    let report = fixture.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
}

#[tokio::test]
async fn an_instance_that_ended_for_another_reason_is_not_relaunched() {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
    fixture
        .lab
        .shortage(Shortage::new("Client.VolumeLimitExceeded").after_launch());
    let mut machine = fixture.created(&TYPES).await;
    let ended = fixture.end_of(&*machine).await;
    assert_eq!(ended.kind, DriverErrorKind::Ended, "{ended}");
    assert!(!machine.relaunch(&ended, &fixture.cx).await.unwrap());
    assert_eq!(fixture.lab.count("RunInstances"), 1);
}

#[tokio::test]
async fn without_a_successful_undo_no_other_candidate_is_launched() {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
    fixture.lab.shortage(
        Shortage::new("InsufficientInstanceCapacity")
            .of_type("m5.large")
            .after_launch(),
    );
    let mut machine = fixture.created(&TYPES).await;
    let first = machine.save()["InstanceId"].clone();
    let ended = fixture.end_of(&*machine).await;
    // Neither the removal is allowed, nor the question whether there is anything to remove.
    let denied = ["TerminateInstances", "DescribeInstances"].map(|action| {
        let fault = Fault::error(action, "UnauthorizedOperation");
        fixture.lab.inject(fault.always())
    });
    let error = machine.relaunch(&ended, &fixture.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Denied);
    assert_eq!(fixture.lab.count("RunInstances"), 1);
    assert_eq!(
        machine.save()["InstanceId"],
        first,
        "the instance must stay on record"
    );
    for fault in denied {
        fixture.lab.remove_fault(fault);
    }
    assert!(fixture.undo(&*machine).await.is_clean());
}

/// The client tokens of all launches, in order.
fn tokens(fixture: &Fixture) -> Vec<String> {
    let calls = fixture.lab.calls();
    let runs = calls.iter().filter(|call| call.action == "RunInstances");
    runs.map(|call| call.params["ClientToken"].clone())
        .collect()
}

#[tokio::test]
async fn a_lost_answer_is_resolved_before_the_next_candidate() {
    let mut flags = TYPES.to_vec();
    flags.push(("retries", "0"));
    // The first request launched an instance: the repeated request returns it.
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer).times(3));
    let machine = fixture.created(&flags).await;
    assert_eq!(machine.save()["InstanceType"], "m5.large");
    assert_eq!(fixture.lab.live_instances().len(), 1);
    let all = tokens(&fixture);
    assert_eq!(all, vec![all[0].clone(); 4]);
    // The first request did not arrive, and there is no capacity: the repeated request reports that, and the next
    // request is
    // another candidate's.
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::Drop).times(2));
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    let machine = fixture.created(&flags).await;
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    assert_eq!(
        tried(&fixture),
        ["m5.large a", "m5.large a", "m5.large a", "t3.small a"]
    );
    let all = tokens(&fixture);
    assert!(all[..3].iter().all(|token| *token == all[0]) && all[3] != all[0]);
}

#[tokio::test]
async fn refused_credentials_do_not_disprove_a_lost_launch() {
    for code in ["AuthFailure", "UnauthorizedOperation"] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::on("RunInstances", Effect::LoseAnswer));
        let expired = fixture
            .lab
            .inject(Fault::error("RunInstances", code).after(1).always());
        let blind = fixture
            .lab
            .inject(Fault::error("DescribeInstances", code).always());
        let mut machine = fixture.machine(&[("retries", "0")]);
        fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(fixture.lab.live_instances().len(), 1);
        let launch = fixture
            .resources()
            .into_iter()
            .find(|r| r.intent.kind == "instance");
        assert!(launch.is_some(), "{code}: the launch must stay on record");
        fixture.lab.remove_fault(expired);
        fixture.lab.remove_fault(blind);
        assert!(fixture.undo(&*machine).await.is_clean());
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn the_record_of_shortages_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    fixture.created(&TYPES).await;
    let record = fixture.store.path().join(".ec2-shortages.json");
    let mode = std::fs::metadata(record).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_unusable_record_of_shortages_does_not_stop_a_create() {
    let fixture = Fixture::new().await;
    // A directory in its place can be neither read nor written as a file.
    std::fs::create_dir(fixture.store.path().join(".ec2-shortages.json")).unwrap();
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    let machine = fixture.created(&TYPES).await;
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    let left = std::fs::read_dir(fixture.store.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let expected = [
        ".ec2-preflight.json",
        ".ec2-rate-limit.json",
        ".ec2-shortages.json",
    ];
    assert_eq!(left, expected, "no temporary file may remain");
}
