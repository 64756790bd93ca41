//! `--amazonec2-use-fleet`: the CreateFleet request, the chosen override, and the outcome of a lost answer.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::sync::Arc;
use std::time::Duration;

use ec2_lab::ec2::{ACCESS_KEY, ACCOUNT, Denial, Effect, Fault, Gate, Market, Shortage};
use fixture::AMI;
use fixture::fleet::Fleet;
use machine_driver::{DriverErrorKind, KeyPlan};
use machine_ops::{Cx, MemoryJournal};

#[tokio::test]
async fn one_call_requests_every_type_in_every_subnet() {
    let fleet = Fleet::new().await;
    let (a, b) = (&fleet.fixture.subnets[&'a'], &fleet.fixture.subnets[&'b']);
    let mut machine = fleet.machine(&[
        ("instance-type", "t3.small"),
        ("instance-type", "m5.large"),
        ("subnet-id", a),
        ("subnet-id", b),
        ("tags", "team,x"),
    ]);
    fleet.fixture.create(&mut machine).await.unwrap();
    let sent = fleet.sent();
    let overrides: Vec<_> = (1..=5)
        .map_while(|n| {
            let name = |field| format!("LaunchTemplateConfigs.1.Overrides.{n}.{field}");
            Some((
                sent.get(&name("InstanceType"))?.as_str(),
                sent.get(&name("SubnetId"))?.as_str(),
                sent[&name("Priority")].as_str(),
            ))
        })
        .collect();
    assert_eq!(
        overrides,
        [
            ("m5.large", b.as_str(), "0.0"),
            ("m5.large", a.as_str(), "1.0"),
            ("t3.small", b.as_str(), "2.0"),
            ("t3.small", a.as_str(), "3.0"),
        ]
    );
    let of = |name: &str| sent[name].as_str();
    assert_eq!(of("Type"), "instant");
    assert_eq!(of("TargetCapacitySpecification.TotalTargetCapacity"), "1");
    assert_eq!(
        of("TargetCapacitySpecification.DefaultTargetCapacityType"),
        "on-demand"
    );
    assert_eq!(of("OnDemandOptions.AllocationStrategy"), "prioritized");
    let template = "LaunchTemplateConfigs.1.LaunchTemplateSpecification";
    assert_eq!(of(&format!("{template}.LaunchTemplateName")), "workers");
    assert_eq!(of(&format!("{template}.Version")), "$Default");
    let counts = fleet.fixture.lab.counts();
    assert_eq!((counts["CreateFleet"], counts["DescribeInstances"]), (1, 1));
    for none in ["ImportKeyPair", "CreateSecurityGroup", "RunInstances"] {
        assert!(!counts.contains_key(none), "{none}");
    }

    let [instance] = &fleet.live()[..] else {
        panic!("one instance")
    };
    let saved = machine.save();
    assert_eq!(saved["InstanceId"], instance.id.as_str());
    assert_eq!(saved["InstanceType"], "m5.large");
    assert_eq!(saved["SubnetId"], b.as_str());
    assert_eq!(saved["KeyName"], "e1");
    assert_eq!(
        saved["ExistingKey"], true,
        "the template's key must not be deleted"
    );
    assert_eq!(saved["AMI"], AMI);
    assert_eq!(saved["UseFleet"], true);
    let address = instance.private_ip.unwrap().to_string();
    assert_eq!(machine.saved_address(), Some(address));
    let mut tagged = vec![instance.id.clone()];
    tagged.extend(instance.volumes.values().cloned());
    tagged.extend(instance.interfaces.clone());
    for resource in tagged {
        let tags = fleet.fixture.lab.tags(&resource);
        assert_eq!(tags["team"], "x", "{resource}");
        assert_eq!(tags["docker-machine:id"], saved["Id"], "{resource}");
    }
    let plan = machine.key_plan();
    assert!(
        matches!(plan, KeyPlan::Copy { public: false, .. }),
        "{plan:?}"
    );

    fleet.fixture.undo(&*machine).await;
    assert_eq!(fleet.live().len(), 0);
}

#[tokio::test]
async fn without_types_and_subnets_the_template_decides() {
    let fleet = Fleet::new().await;
    let mut machine = fleet.machine(&[]);
    fleet.fixture.create(&mut machine).await.unwrap();
    let sent = fleet.sent();
    assert!(
        !sent.keys().any(|name| name.contains("Overrides")),
        "{sent:?}"
    );
    let saved = machine.save();
    assert_eq!(saved["InstanceType"], "c5.large");
    assert_eq!(saved["SubnetId"], fleet.fixture.subnets[&'a'].as_str());
    assert_eq!(saved["VpcId"], fleet.fixture.vpc.as_str());
    assert_eq!(saved["Zone"], "us-east-1a");
}

#[tokio::test]
async fn a_spot_fleet_has_a_price_and_may_fall_back() {
    let fleet = Fleet::new().await;
    let spot = [("request-spot-instance", "true"), ("spot-price", "0.07")];
    let mut machine = fleet.machine(&spot);
    fleet.fixture.create(&mut machine).await.unwrap();
    let sent = fleet.sent();
    assert_eq!(sent["LaunchTemplateConfigs.1.Overrides.1.MaxPrice"], "0.07");
    assert_eq!(
        sent["SpotOptions.AllocationStrategy"],
        "price-capacity-optimized"
    );
    assert_eq!(machine.save()["RequestSpotInstance"], true);
    assert!(fleet.live()[0].spot_request.is_some());

    fleet
        .fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").on(Market::Spot));
    let error = fleet
        .fixture
        .create(&mut fleet.machine(&spot))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity);
    let mut flags = spot.to_vec();
    flags.push(("spot-fallback", "capacity"));
    let mut machine = fleet.machine(&flags);
    fleet.fixture.create(&mut machine).await.unwrap();
    assert_eq!(machine.save()["RequestSpotInstance"], false);
}

#[tokio::test]
async fn the_next_override_is_used_and_a_failure_names_the_reason_for_each() {
    let fleet = Fleet::new().await;
    let lab = &fleet.fixture.lab;
    lab.shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let mut machine = fleet.machine(&types);
    fleet.fixture.create(&mut machine).await.unwrap();
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    assert_eq!(lab.count("CreateFleet"), 1, "EC2 tries them, not we");

    lab.shortage(Shortage::new("VcpuLimitExceeded").of_type("t3.small"));
    let error = fleet
        .fixture
        .create(&mut fleet.machine(&types))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity);
    let text = error.to_string();
    for words in [
        "launch template workers launched nothing in region us-east-1",
        "m5.large: ",
        "(InsufficientInstanceCapacity)",
        "t3.small: ",
        "(VcpuLimitExceeded)",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert_eq!(fleet.live().len(), 1);
}

#[tokio::test]
async fn a_fleet_whose_answer_is_lost_has_one_instance() {
    for effect in [
        Effect::LoseAnswer,
        Effect::ErrorAfterAct {
            code: "InternalError".into(),
        },
        Effect::Garble("<html>proxy</html>".into()),
    ] {
        let fleet = Fleet::new().await;
        // More often than the SDK retries, and than the search takes.
        let fault = Fault::on("CreateFleet", effect.clone()).always();
        fleet.fixture.lab.inject(fault);
        let mut machine = fleet.machine(&[]);
        fleet.fixture.create(&mut machine).await.unwrap();
        let [instance] = &fleet.live()[..] else {
            panic!("one instance: {effect:?}")
        };
        assert_eq!(machine.save()["InstanceId"], instance.id.as_str());
        fleet.fixture.undo(&*machine).await;
        assert_eq!(fleet.live().len(), 0, "{effect:?}");
    }
}

#[tokio::test]
async fn a_fleet_without_an_answer_is_found_by_its_tag_and_undone() {
    let fleet = Fleet::new().await;
    let lab = &fleet.fixture.lab;
    let lost = lab.inject(Fault::on("CreateFleet", Effect::LoseAnswer).always());
    let blind = lab.inject(Fault::error("DescribeInstances", "Unavailable").always());
    let mut machine = fleet.machine(&[("retries", "0")]);
    fleet.fixture.create(&mut machine).await.unwrap_err();
    assert_eq!(fleet.live().len(), 1);
    lab.remove_fault(lost);
    lab.remove_fault(blind);
    let report = fleet.fixture.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert_eq!(fleet.live().len(), 0);
}

/// The answer to CreateFleet has an ID alone.
#[tokio::test]
async fn an_instance_that_the_fleet_did_not_launch_survives_the_undo() {
    let fleet = Fleet::new().await;
    let lab = &fleet.fixture.lab;
    let mut other = fleet.machine(&[]);
    fleet.fixture.create(&mut other).await.unwrap();
    let template = lab.live_instances().remove(0).id;
    let tags = [("Name".to_owned(), "production-db".to_owned())].into();
    let foreign = lab.launch_like(&template, "terraform-1", &tags).unwrap();
    fleet.fixture.undo(&*other).await;

    let answer = format!(
        "<CreateFleetResponse><fleetInstanceSet><item><instanceIds><item>{foreign}</item></instanceIds>\
         </item></fleetInstanceSet></CreateFleetResponse>"
    );
    lab.inject(Fault::on("CreateFleet", Effect::Garble(answer)));
    let mut machine = fleet.machine(&[]);
    fleet.fixture.create(&mut machine).await.ok();
    fleet.fixture.undo(&*machine).await;
    let living: Vec<String> = lab.live_instances().into_iter().map(|it| it.id).collect();
    assert_eq!(living, [foreign]);
}

#[tokio::test]
async fn an_untagged_fleet_whose_answer_is_lost_stays_on_record() {
    let fleet = Fleet::new().await;
    let lab = &fleet.fixture.lab;
    let refuse = |code: &str| Fault::error("CreateFleet", code);
    let lost = lab.inject(Fault::on("CreateFleet", Effect::LoseAnswer).times(1));
    // A refusal of the credentials says nothing about the lost request.
    let gone = lab.inject(refuse("AuthFailure").after(1).always());
    let flags = [("retries", "0"), ("no-owner-tags", "true")];
    let mut machine = fleet.machine(&flags);
    fleet.fixture.create(&mut machine).await.unwrap_err();
    lab.remove_fault(lost);
    lab.remove_fault(gone);
    lab.clock().advance(std::time::Duration::from_secs(3600));
    let report = fleet.fixture.undo(&*machine).await;
    let reason = report.left[0].reason.as_ref().unwrap();
    assert!(reason.contains("carries no tag of ours"), "{reason}");
    assert!(reason.contains("f1"), "{reason}");
}

#[tokio::test]
async fn a_fleet_has_fewer_tags_if_tagging_is_denied() {
    let fleet = Fleet::new().await;
    fleet
        .fixture
        .lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    let mut machine = fleet.machine(&[("tags", "team,x")]);
    fleet.fixture.create(&mut machine).await.unwrap();
    let tags = fleet.fixture.lab.tags(&fleet.live()[0].id);
    assert_eq!(tags["team"], "x");
    assert!(!tags.contains_key("docker-machine:store"));
    let told = fleet.fixture.told.lines();
    assert!(told.contains("fewer tags"), "{told}");
}

#[tokio::test]
async fn an_unusable_template_is_reported_before_anything_is_created() {
    let fleet = Fleet::new().await;
    let error = fleet
        .fixture
        .create(&mut fleet.machine(&[("launch-template", "missing")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert!(
        error
            .to_string()
            .contains("there is no launch template missing in region us-east-1"),
        "{error}"
    );
    let error = fleet
        .fixture
        .create(&mut fleet.machine(&[("instance-type", "t4g.small")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate, "{error}");
    assert_eq!(fleet.fixture.lab.count("CreateFleet"), 0);

    // Credentials that may launch but not describe can still launch.
    fleet.fixture.lab.allow_only(
        ACCESS_KEY,
        [
            "ec2:CreateFleet",
            "ec2:RunInstances",
            "ec2:CreateTags",
            "ec2:DescribeInstances",
        ],
    );
    let mut machine = fleet.machine(&[]);
    fleet.fixture.create(&mut machine).await.unwrap();
    assert_eq!(fleet.live().len(), 1);
}

#[tokio::test]
async fn a_slow_fleet_is_waited_for() {
    let fleet = Fleet::new().await;
    let answer = Gate::new();
    let held = Fault::on("CreateFleet", Effect::HoldAnswer(answer.clone()));
    fleet.fixture.lab.inject(held);
    let mut machine = fleet.machine(&[]);
    let slowly = async {
        answer.arrived(1).await;
        // Longer than any other call may take. The wait is in real time, because the SDK's timeouts are.
        let clock = Cx::new(Arc::<MemoryJournal>::default()).ambient;
        clock.sleep(Duration::from_secs(13)).await;
        answer.open();
    };
    let (created, ()) = tokio::join!(fleet.fixture.create(&mut machine), slowly);
    created.unwrap();
    let counts = fleet.fixture.lab.counts();
    assert_eq!((counts["CreateFleet"], counts["DescribeInstances"]), (1, 1));
}

#[tokio::test]
async fn iops_and_throughput_of_a_fleet_override_the_templates_root_volume() {
    let fleet = Fleet::new().await;
    let mut machine = fleet.machine(&[
        ("instance-type", "t3.small"),
        ("volume-type", "gp3"),
        ("volume-iops", "4000"),
        ("volume-throughput", "500"),
    ]);
    fleet.fixture.create(&mut machine).await.unwrap();
    let sent = fleet.sent();
    let of = |name: &str| {
        let mapping = "LaunchTemplateConfigs.1.Overrides.1.BlockDeviceMapping.1";
        sent[&format!("{mapping}.{name}")].as_str()
    };
    assert_eq!(of("DeviceName"), "/dev/sda1");
    assert_eq!(of("Ebs.VolumeType"), "gp3");
    assert_eq!((of("Ebs.Iops"), of("Ebs.Throughput")), ("4000", "500"));
    let instance = &fleet.live()[0];
    let volumes = fleet.fixture.lab.volumes();
    let is_its =
        |volume: &&ec2_lab::ec2::Volume| instance.volumes.values().any(|v| *v == volume.id);
    let volume = volumes.iter().find(is_its).unwrap();
    assert_eq!((volume.iops, volume.throughput), (Some(4000), Some(500)));
}

/// A fleet's override may replace the template's block device mappings.
#[tokio::test]
async fn iops_of_a_fleet_do_not_drop_encryption_or_volumes_of_the_template() {
    let fleet = Fleet::new().await;
    let encrypted = ["Encrypted", "true"];
    for (template, device, ebs, words) in [
        ("encrypts", "/dev/sda1", encrypted, "encryption"),
        ("key", "/dev/sda1", ["KmsKeyId", "alias/k"], "encryption"),
        (
            "data",
            "/dev/sdb",
            ["VolumeSize", "9"],
            "mappings of /dev/sdb",
        ),
    ] {
        let [name, value] = ebs;
        fleet.fixture.lab.add_launch_template(
            ACCOUNT,
            fixture::REGION,
            template,
            &[
                ("ImageId", AMI),
                ("InstanceType", "c5.large"),
                ("BlockDeviceMapping.1.DeviceName", device),
                (&format!("BlockDeviceMapping.1.Ebs.{name}"), value),
            ],
        );
        let flags = [
            ("launch-template", template),
            ("volume-type", "gp3"),
            ("volume-iops", "4000"),
        ];
        let mut machine = fleet.machine(&flags);
        let error = machine.preflight(&fleet.fixture.cx).await.unwrap_err();
        assert_eq!(error.kind, DriverErrorKind::PreCreate);
        let told = error.to_string();
        assert!(told.contains(words) && told.contains(template), "{told}");
        let encrypts = [&flags[..], &[("volume-encrypted", "true")]].concat();
        let mut machine = fleet.machine(&encrypts);
        let allowed = machine.preflight(&fleet.fixture.cx).await.is_ok();
        assert_eq!(allowed, device == "/dev/sda1", "{template}");
        // Without the flags nothing is overridden.
        let mut machine = fleet.machine(&flags[..1]);
        machine.preflight(&fleet.fixture.cx).await.unwrap();
    }
}
