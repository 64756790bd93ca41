//! Answers that are lost after EC2 acted: the created resource is found, or stays on record.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Blindness, Denial, Effect, Fault, Gate, Kind, Lab, Shortage};
use fixture::Fixture;
use fixture::fleet::Fleet;
use machine_driver::{Driver, DriverErrorKind, DriverKind as _, KeyMaterial};

#[tokio::test]
async fn a_launch_whose_answer_is_lost_has_one_instance() {
    for effect in [
        Effect::LoseAnswer,
        Effect::ErrorAfterAct {
            code: "InternalError".into(),
        },
        Effect::Garble("<html>proxy</html>".into()),
        Effect::Truncate(200),
    ] {
        let fixture = Fixture::new().await;
        // More often than the SDK retries.
        fixture
            .lab
            .inject(Fault::on("RunInstances", effect.clone()).times(8));
        let machine = fixture.created(&[]).await;
        assert_eq!(fixture.lab.live_instances().len(), 1, "{effect:?}");
        assert_eq!(
            machine.save()["InstanceId"],
            fixture.lab.live_instances()[0].id.as_str()
        );
        assert!(fixture.undo(&*machine).await.is_clean());
        assert!(
            fixture.lab.clean(),
            "{effect:?}: {:?}",
            fixture.lab.left_over()
        );
    }
}

#[tokio::test]
async fn a_repeated_launch_stays_on_record_if_the_create_is_cancelled() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::error("RunInstances", "InvalidKeyPair.NotFound"));
    let answer = Gate::new();
    let held = Fault::on("RunInstances", Effect::HoldAnswer(answer.clone())).after(1);
    fixture.lab.inject(held);
    let mut machine = fixture.machine(&[]);
    let cancelled = async {
        answer.arrived(1).await;
        fixture.cx.cancel.cancel("SIGTERM");
        tokio::task::yield_now().await;
        answer.open();
    };
    let (created, ()) = tokio::join!(fixture.create(&mut machine), cancelled);
    created.unwrap_err();
    let [instance] = &fixture.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let open = fixture.resources();
    assert!(
        open.iter().any(|r| r.id.as_ref() == Some(&instance.id)),
        "{open:?}"
    );
}

#[tokio::test]
async fn a_refused_repetition_does_not_disprove_the_lost_launch() {
    for code in [
        "RequestLimitExceeded",
        "UnauthorizedOperation",
        "ExpiredToken",
        "InvalidKeyPair.NotFound",
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::on("RunInstances", Effect::LoseAnswer));
        fixture
            .lab
            .inject(Fault::error("RunInstances", code).after(1));
        let machine = fixture.created(&[]).await;
        let [instance] = &fixture.lab.live_instances()[..] else {
            panic!("one instance: {code}")
        };
        assert_eq!(machine.save()["InstanceId"], instance.id.as_str(), "{code}");
        assert!(fixture.undo(&*machine).await.is_clean(), "{code}");
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn a_key_pair_that_may_have_been_imported_stays_on_record() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
    fixture.lab.deny(Denial::of("ec2:DescribeKeyPairs"));
    let mut machine = fixture.machine(&[("retries", "2")]);
    machine.preflight(&fixture.cx).await.unwrap();
    let public = KeyMaterial {
        public: fixture::PUBLIC.into(),
    };
    machine.create(&public, &fixture.cx).await.unwrap_err();
    assert_eq!(fixture.lab.key_pairs().len(), 1);
    fixture.lab.heal();
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_refused_repetition_does_not_disprove_the_lost_import() {
    for code in [
        "RequestLimitExceeded",
        "UnauthorizedOperation",
        "ExpiredToken",
        "InvalidKeyPair.Duplicate",
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
        fixture
            .lab
            .inject(Fault::error("ImportKeyPair", code).after(1));
        let machine = fixture.created(&[]).await;
        assert_eq!(fixture.lab.key_pairs().len(), 1, "{code}");
        assert!(fixture.undo(&*machine).await.is_clean(), "{code}");
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn an_import_with_an_unknown_outcome_stays_on_record() {
    for (imports, looks) in [
        ("UnauthorizedOperation", "UnauthorizedOperation"),
        ("InternalError", "InternalError"),
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::on("ImportKeyPair", Effect::LoseAnswer));
        fixture
            .lab
            .inject(Fault::error("ImportKeyPair", imports).after(1).always());
        fixture
            .lab
            .inject(Fault::error("DescribeKeyPairs", looks).always());
        let mut machine = fixture.machine(&[("retries", "0")]);
        fixture.create(&mut machine).await.unwrap_err();
        assert_eq!(fixture.lab.key_pairs().len(), 1);
        let open = fixture.resources();
        let pair = open.iter().find(|r| r.intent.kind == "key-pair");
        assert!(pair.is_some_and(|pair| !pair.made), "{imports}: {open:?}");
        fixture.lab.heal();
        assert!(fixture.undo(&*machine).await.is_clean());
        assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn an_import_that_never_arrived_is_retried() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::on("ImportKeyPair", Effect::Drop).times(3));
    let machine = fixture.created(&[("retries", "0")]).await;
    assert_eq!(fixture.lab.count("ImportKeyPair"), 4);
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

/// Relaunches the machine, loses every answer to the action, and hides new instances in EC2's reads.
async fn relaunch_without_an_answer(
    fixture: &Fixture,
    machine: &mut Box<dyn Driver>,
    action: &str,
) {
    let ended = fixture.end_of(&**machine).await;
    fixture.lab.blind(Kind::Instance, Blindness::whole_window());
    fixture
        .lab
        .inject(Fault::on(action, Effect::LoseAnswer).always());
    let error = machine.relaunch(&ended, &fixture.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Unavailable, "{error}");
    fixture.lab.heal();
}

/// The machine without its configuration except for its place. The rest is in the journal.
fn with_place_only(fixture: &Fixture, machine: &dyn Driver) -> Box<dyn Driver> {
    let saved = machine.save();
    let place = [
        "MachineName",
        "Region",
        "Endpoint",
        "AccessKey",
        "SecretKey",
    ];
    let place: serde_json::Map<_, _> = place
        .map(|field| (field.to_owned(), saved[field].clone()))
        .into_iter()
        .collect();
    let name = saved["MachineName"].as_str().unwrap();
    AmazonEc2.load(&fixture.base(name), &place.into()).unwrap()
}

/// Asserts that a lost launch stays on record while EC2 does not show it, and is terminated after that.
async fn assert_found_later(fixture: &Fixture, machine: &dyn Driver) {
    for machine in [machine, &*with_place_only(fixture, machine)] {
        let report = fixture.undo(machine).await;
        assert_eq!(report.left.len(), 1, "{:?}", report.left);
    }
    fixture.lab.clock().advance(Duration::from_secs(301));
    let report = fixture.undo(&*with_place_only(fixture, machine)).await;
    assert!(report.is_clean(), "{:?}", report.left);
}

#[tokio::test]
async fn a_lost_launch_is_not_confused_with_an_ended_one() {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    fixture.lab.shortage(shortage.after_launch());
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let mut machine = fixture.created(&types).await;
    relaunch_without_an_answer(&fixture, &mut machine, "RunInstances").await;
    assert_eq!(fixture.lab.instances().len(), 2);
    assert_found_later(&fixture, &*machine).await;
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_lost_fleet_is_not_confused_with_an_ended_one() {
    let fleet = Fleet::with(Lab::builder().pending(Duration::from_secs(20))).await;
    let fixture = &fleet.fixture;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    fixture.lab.shortage(shortage.after_launch());
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let mut machine = fleet.machine(&types);
    fixture.create(&mut machine).await.unwrap();
    relaunch_without_an_answer(fixture, &mut machine, "CreateFleet").await;
    assert_eq!(fleet.live().len(), 1);
    assert_found_later(fixture, &*machine).await;
    assert_eq!(fleet.live().len(), 0);
}

const TYPES: [(&str, &str); 2] = [("instance-type", "t3.small"), ("instance-type", "m5.large")];

#[tokio::test]
async fn the_lost_launch_may_be_the_cause_of_a_refused_repetition() {
    for code in [
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientInstanceCapacity",
        "VolumeLimitExceeded",
        "InvalidParameterValue",
        "IdempotentParameterMismatch",
    ] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::on("RunInstances", Effect::LoseAnswer));
        fixture
            .lab
            .inject(Fault::error("RunInstances", code).after(1).always());
        let machine = fixture.created(&TYPES).await;
        let [instance] = &fixture.lab.live_instances()[..] else {
            panic!("one instance: {code}")
        };
        assert_eq!(machine.save()["InstanceId"], instance.id.as_str(), "{code}");
        assert_eq!(machine.save()["InstanceType"], "m5.large", "{code}");
        assert!(fixture.undo(&*machine).await.is_clean(), "{code}");
        assert!(fixture.lab.clean(), "{code}: {:?}", fixture.lab.left_over());
    }
}

#[tokio::test]
async fn a_hidden_lost_launch_stays_on_record_while_another_is_created() {
    let fixture = Fixture::new().await;
    fixture.lab.blind(Kind::Instance, Blindness::whole_window());
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    fixture
        .lab
        .inject(Fault::error("RunInstances", "VcpuLimitExceeded").after(1));
    let mut machine = fixture.machine(&TYPES);
    fixture.create(&mut machine).await.unwrap();
    assert_eq!(fixture.lab.live_instances().len(), 2);
    fixture.lab.clock().advance(Duration::from_secs(301));
    let report = fixture.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn the_lost_fleet_may_be_the_cause_of_a_refused_repetition() {
    for code in ["VcpuLimitExceeded", "InvalidParameterValue"] {
        let fleet = Fleet::new().await;
        let lab = &fleet.fixture.lab;
        // The first read does not show the instance yet.
        lab.blind(Kind::Instance, Blindness::Reads(vec![1]));
        lab.inject(Fault::on("CreateFleet", Effect::LoseAnswer));
        lab.inject(Fault::error("CreateFleet", code).after(1).always());
        let mut machine = fleet.machine(&[]);
        fleet.fixture.create(&mut machine).await.unwrap();
        let [instance] = &fleet.live()[..] else {
            panic!("one instance: {code}")
        };
        assert_eq!(machine.save()["InstanceId"], instance.id.as_str(), "{code}");
        fleet.fixture.undo(&*machine).await;
        assert_eq!(fleet.live().len(), 0, "{code}");
    }
}

#[tokio::test]
async fn a_lost_launch_that_ended_for_lack_of_capacity_leads_to_the_next_candidate() {
    let fixture = Fixture::new().await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    fixture.lab.shortage(shortage.after_launch());
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    let mut machine = fixture.machine(&TYPES);
    let ended = fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(ended.kind, DriverErrorKind::Capacity, "{ended}");
    assert!(machine.relaunch(&ended, &fixture.cx).await.unwrap());
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    let answers = fixture
        .lab
        .calls()
        .into_iter()
        .filter_map(|call| call.error);
    let answers: Vec<String> = answers.collect();
    assert!(
        answers.contains(&"IdempotentInstanceTerminated".to_owned()),
        "{answers:?}"
    );
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_lost_launch_that_ended_for_another_reason_ends_the_create_with_it() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .shortage(Shortage::new("Client.VolumeLimitExceeded").after_launch());
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    let mut machine = fixture.machine(&TYPES);
    let ended = fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(ended.kind, DriverErrorKind::Ended, "{ended}");
    assert!(
        ended.to_string().contains("Client.VolumeLimitExceeded"),
        "{ended}"
    );
    assert_eq!(
        fixture.lab.count("RunInstances"),
        2,
        "the launch and its repetition"
    );
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn an_ended_launch_that_ec2_does_not_show_stays_on_record() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").after_launch());
    fixture
        .lab
        .inject(Fault::on("RunInstances", Effect::LoseAnswer));
    fixture
        .lab
        .inject(Fault::error("DescribeInstances", "Unavailable").always());
    let mut machine = fixture.machine(&[("retries", "0")]);
    let error = fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Ended, "{error}");
    let open = fixture.resources();
    assert!(open.iter().any(|r| r.intent.kind == "instance"), "{open:?}");
    fixture.lab.heal();
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}
