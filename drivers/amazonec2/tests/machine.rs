//! The lifecycle of a machine: create, state, stop, start, undo, with faults of EC2.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Blindness, Denial, Durations, Fault, Kind, Lab, Shortage};
use fixture::Fixture;
use machine_driver::{DriverErrorKind, DriverKind, KeyMaterial};
use machine_ops::{Journal, Phase};
use machine_types::MachineState;

#[tokio::test]
async fn a_create_with_every_id_given_makes_five_calls() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    let group = fixture
        .lab
        .security_groups()
        .into_iter()
        .find(|g| g.name == "docker-machine")
        .unwrap()
        .id;
    let room2 = &fixture;
    room2.lab.clear_calls();
    let flags = [
        ("security-group", group.as_str()),
        ("subnet-id", fixture.subnets[&'a'].as_str()),
    ];
    let mut machine = AmazonEc2
        .configure(
            &fixture.base("e2"),
            &fixture::options(&fixture.flags(&flags)),
        )
        .unwrap();
    fixture.create(&mut machine).await.unwrap();
    let calls: Vec<_> = fixture
        .lab
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    assert_eq!(calls.len(), 5, "{calls:?}");
    assert_eq!(
        fixture.lab.count("DescribeInstances"),
        0,
        "the launch must return the private address"
    );
}

#[tokio::test]
async fn created_resources_are_tagged_and_on_record_at_once() {
    let fixture = Fixture::new().await;
    let machine = fixture
        .created(&[("request-spot-instance", "true"), ("tags", "a,b")])
        .await;
    let [instance] = &fixture.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let id = machine.save()["Id"].as_str().unwrap().to_owned();
    assert!(!id.is_empty());
    let mut tagged = vec![instance.id.clone(), instance.spot_request.clone().unwrap()];
    tagged.extend(instance.volumes.values().cloned());
    tagged.extend(instance.interfaces.clone());
    tagged.push(fixture.lab.key_pairs()[0].id.clone());
    for resource in tagged {
        let tags = fixture.lab.tags(&resource);
        assert_eq!(tags["docker-machine:store"], "store-1", "{resource}");
        assert_eq!(tags["docker-machine:id"], id, "{resource}");
    }
    assert_eq!(fixture.journal.driver()["InstanceId"], instance.id.as_str());
    assert_eq!(fixture.journal.driver()["KeyName"], "e1");
    assert_eq!(fixture.reloaded().docker_url(), machine.docker_url());
}

#[tokio::test]
async fn a_machine_stops_starts_and_is_removed() {
    let times = Durations {
        pending: Duration::from_secs(6),
        stopping: Duration::from_secs(9),
        ..Durations::default()
    };
    let fixture = Fixture::with(Lab::builder().durations(times.clone())).await;
    let mut machine = fixture.machine(&[("use-private-address", "false")]);
    machine.preflight(&fixture.cx).await.unwrap();
    machine
        .create(
            &KeyMaterial {
                public: fixture::PUBLIC.into(),
            },
            &fixture.cx,
        )
        .await
        .unwrap();
    assert_eq!(machine.saved_address(), None);
    assert_eq!(
        machine.state(&fixture.cx).await.unwrap().state,
        MachineState::Starting
    );
    machine.await_address(&fixture.cx).await.unwrap();
    let first = machine.saved_address().unwrap();
    fixture.lab.clock().advance(times.pending);
    assert_eq!(
        machine.state(&fixture.cx).await.unwrap().state,
        MachineState::Running
    );
    machine.stop(&fixture.cx).await.unwrap();
    assert_eq!(
        machine.state(&fixture.cx).await.unwrap().state,
        MachineState::Stopped
    );
    assert_eq!(
        machine.saved_address().unwrap(),
        first,
        "a stopped machine must keep its address on record"
    );
    machine.start(&fixture.cx).await.unwrap();
    machine.await_address(&fixture.cx).await.unwrap();
    assert_ne!(machine.saved_address().unwrap(), first);
    machine.restart(&fixture.cx).await.unwrap();
    machine.kill(&fixture.cx).await.unwrap();
    let report = fixture.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert_eq!(fixture.lab.left_over(), Vec::<String>::new());
    let again = fixture.undo(&*machine).await;
    assert!(again.is_clean() && again.gone == 0);
}

#[tokio::test]
async fn stopping_a_spot_instance_fails_at_once() {
    let fixture = Fixture::new().await;
    let mut machine = fixture.created(&[("request-spot-instance", "true")]).await;
    assert_eq!(
        machine.stop(&fixture.cx).await.unwrap_err().kind,
        DriverErrorKind::Unsupported
    );
}

#[tokio::test]
async fn eventual_consistency_of_a_new_key_and_group_is_tolerated() {
    let fixture = Fixture::new().await;
    for kind in [
        Kind::KeyPair,
        Kind::SecurityGroup,
        Kind::Instance,
        Kind::Tags,
    ] {
        fixture
            .lab
            .blind(kind, Blindness::flicker(Duration::from_secs(2)));
    }
    let machine = fixture.created(&[("use-private-address", "false")]).await;
    assert!(machine.state(&fixture.cx).await.is_ok());
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn the_key_pairs_name_is_on_record_before_its_import() {
    let fixture = Fixture::new().await;
    let import = fixture.lab.hold("ImportKeyPair");
    let mut machine = fixture.machine(&[]);
    let looked = async {
        import.arrived(1).await;
        let name = fixture.journal.driver()["KeyName"].clone();
        import.open();
        name
    };
    let (created, name) = tokio::join!(fixture.create(&mut machine), looked);
    created.unwrap();
    assert_eq!(name, "e1");
}

#[tokio::test]
async fn a_foreign_key_pair_is_refused_and_an_orphaned_one_replaced() {
    let fixture = Fixture::new().await;
    let first = fixture.created(&[]).await;
    drop(first);
    // The store lost the machine: its key pair is orphaned.
    let mut second = AmazonEc2
        .configure(&fixture.base("e1"), &fixture::options(&fixture.flags(&[])))
        .unwrap();
    fixture.create(&mut second).await.unwrap();
    assert_eq!(fixture.lab.key_pairs().len(), 1);
    let mut other_store = fixture.base("e1");
    other_store.store_id = "store-2".into();
    let mut third = AmazonEc2
        .configure(&other_store, &fixture::options(&fixture.flags(&[])))
        .unwrap();
    third.preflight(&fixture.cx).await.unwrap();
    let other_key = KeyMaterial {
        public: fixture::PUBLIC.replace("IF3v", "IG4w"),
    };
    let error = third.create(&other_key, &fixture.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert_eq!(
        error.to_string(),
        "There is already a keypair with the name e1. Please either remove that keypair or use a different machine name."
    );
    let last = fixture.journal.entries().unwrap().pop().unwrap();
    assert_eq!(last.phase, Phase::NotMade);
}

#[tokio::test]
async fn without_capacity_the_next_candidate_is_tried() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    let types = [
        ("instance-type", "t3.small"),
        ("instance-type", "c5.large"),
        ("instance-type", "m5.large"),
    ];
    let machine = fixture.created(&types).await;
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    assert_eq!(fixture.lab.count("RunInstances"), 2);
    // The next create uses the recorded shortage.
    let mut next = AmazonEc2
        .configure(
            &fixture.base("e2"),
            &fixture::options(&fixture.flags(&types)),
        )
        .unwrap();
    fixture.create(&mut next).await.unwrap();
    assert_eq!(fixture.lab.count("RunInstances"), 3);
}

#[tokio::test]
async fn a_launch_has_fewer_tags_if_tagging_is_denied() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    let machine = fixture.created(&[("tags", "team,x")]).await;
    let [instance] = &fixture.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let tags = fixture.lab.tags(&instance.id);
    assert_eq!(tags["team"], "x");
    assert!(!tags.contains_key("docker-machine:store"));
    assert!(
        fixture.told.lines().contains("fewer tags"),
        "{}",
        fixture.told.lines()
    );
    assert!(fixture.undo(&*machine).await.is_clean());
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn throttled_calls_are_retried() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(
        Fault::error("*", "RequestLimitExceeded")
            .when(|call| call.seq % 3 != 0)
            .times(20),
    );
    let machine = fixture.created(&[]).await;
    assert_eq!(fixture.lab.live_instances().len(), 1);
    assert!(fixture.undo(&*machine).await.is_clean());
    let fixture = Fixture::new().await;
    fixture
        .lab
        .inject(Fault::error("*", "RequestLimitExceeded").always());
    let error = fixture
        .create(&mut fixture.machine(&[("retries", "-1")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Unavailable);
    assert!(
        fixture.lab.calls().len() <= 4,
        "no retries: {:?}",
        fixture.lab.counts()
    );
}

#[tokio::test]
async fn the_states_of_many_machines_take_one_call() {
    let fixture = Fixture::new().await;
    let mut machines = Vec::new();
    for name in ["a", "b", "c"] {
        let mut machine = AmazonEc2
            .configure(&fixture.base(name), &fixture::options(&fixture.flags(&[])))
            .unwrap();
        fixture.create(&mut machine).await.unwrap();
        machines.push(machine);
    }
    machines[1].stop(&fixture.cx).await.unwrap();
    fixture.lab.clear_calls();
    let clouds: Vec<_> = machines.iter().filter_map(|m| m.cloud()).collect();
    assert!(
        clouds
            .iter()
            .all(|cloud| cloud.route() == clouds[0].route())
    );
    let ids: Vec<_> = clouds.iter().filter_map(|cloud| cloud.id()).collect();
    let states = clouds[0].states(&ids, &fixture.cx).await;
    let states: Vec<_> = states.into_iter().map(|is| is.unwrap().state).collect();
    assert_eq!(
        states,
        [
            MachineState::Running,
            MachineState::Stopped,
            MachineState::Running
        ]
    );
    assert_eq!(
        fixture.lab.counts(),
        [("DescribeInstances".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn orphaned_resources_are_listed_and_removed() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[("request-spot-instance", "true")]).await;
    let left = machine
        .left_behind(fixture::owner("store-1"), &fixture.cx)
        .await
        .unwrap();
    let mut kinds: Vec<_> = left
        .iter()
        .map(|item| item.resource.intent.kind.as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["instance", "key-pair"]);
    assert!(left.iter().all(|item| item.machine == "e1"));
    assert!(
        machine
            .left_behind(fixture::owner("store-2"), &fixture.cx)
            .await
            .unwrap()
            .is_empty()
    );
    for item in &left {
        machine.undo(&item.resource, &fixture.cx).await.unwrap();
    }
    assert!(fixture.lab.clean(), "{:?}", fixture.lab.left_over());
}

#[tokio::test]
async fn a_refusal_names_the_missing_permission_and_no_secret() {
    let fixture = Fixture::new().await;
    fixture.lab.deny(Denial::of("ec2:RunInstances"));
    let error = fixture.create(&mut fixture.machine(&[])).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Denied);
    assert!(
        error
            .to_string()
            .contains("RunInstances in region us-east-1 was refused"),
        "{error}"
    );
    assert!(
        error
            .hint
            .as_ref()
            .unwrap()
            .contains(r#""Action":"ec2:RunInstances""#),
        "{:?}",
        error.hint
    );
    let everything = format!(
        "{}{error:?}{:?}",
        fixture.told.everything(),
        fixture.journal.entries().unwrap()
    );
    assert!(!everything.contains("SECRETEXAMPLE"));
}

#[tokio::test]
async fn an_instance_that_ends_while_starting_is_reported_with_its_reason() {
    let fixture = Fixture::with(Lab::builder().pending(Duration::from_secs(20))).await;
    fixture
        .lab
        .shortage(Shortage::new("Server.InternalError").after_launch());
    let machine = fixture.created(&[]).await;
    assert!(machine.ended(&fixture.cx).await.is_none());
    fixture.lab.clock().advance(Duration::from_secs(20));
    let error = machine.ended(&fixture.cx).await.unwrap();
    assert_eq!(error.kind, DriverErrorKind::Ended, "{error}");
    assert!(
        error.to_string().contains("Server.InternalError"),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_public_address_is_adopted_from_the_answer_about_the_state() {
    let fixture = Fixture::new().await;
    let mut machine = fixture.created(&[("use-private-address", "false")]).await;
    let before = machine.saved_address();
    let mut in_the_console = fixture.reloaded();
    in_the_console.stop(&fixture.cx).await.unwrap();
    let stopped = machine.state(&fixture.cx).await.unwrap();
    assert!(!machine.adopt(&stopped));
    in_the_console.start(&fixture.cx).await.unwrap();
    fixture.lab.clear_calls();
    let status = machine.state(&fixture.cx).await.unwrap();
    assert_eq!(status.state, MachineState::Running);
    assert!(machine.adopt(&status));
    assert!(!machine.adopt(&status));
    assert_ne!(machine.saved_address(), before);
    assert_eq!(machine.saved_address(), in_the_console.saved_address());
    assert_eq!(
        fixture.lab.counts(),
        [("DescribeInstances".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn of_several_ipv6_addresses_the_saved_one_stays() {
    let fixture = Fixture::new().await;
    let flags = [("ipv6-address-count", "2"), ("ipv6-address-only", "true")];
    let machine = fixture.created(&flags).await;
    let status = machine.state(&fixture.cx).await.unwrap();
    let all = status.addresses.clone().unwrap().ipv6;
    assert_eq!(all.len(), 2);
    for address in all {
        let mut saved = machine.save();
        saved["IPAddress"] = address.as_str().into();
        let mut loaded = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
        assert!(!loaded.adopt(&status));
        assert_eq!(loaded.saved_address(), Some(address));
    }
}
