//! A machine's life: create, state, stop, start, undo, and what EC2 may throw in its way.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Blindness, Denial, Durations, Fault, Kind, Lab, Shortage};
use machine_driver::{DriverErrorKind, DriverKind, KeyMaterial};
use machine_ops::{Journal, Phase};
use machine_types::MachineState;
use room::Room;

#[tokio::test]
async fn a_create_with_every_id_given_is_five_calls() {
    let room = Room::new().await;
    room.created(&[]).await;
    let group = room
        .lab
        .security_groups()
        .into_iter()
        .find(|g| g.name == "docker-machine")
        .unwrap()
        .id;
    let room2 = &room;
    room2.lab.clear_calls();
    let flags = [
        ("security-group", group.as_str()),
        ("subnet-id", room.subnets[&'a'].as_str()),
    ];
    let mut machine = AmazonEc2
        .configure(&room.base("e2"), &room::options(&room.flags(&flags)))
        .unwrap();
    room.create(&mut machine).await.unwrap();
    let calls: Vec<_> = room
        .lab
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    assert_eq!(calls.len(), 5, "{calls:?}");
    assert_eq!(
        room.lab.count("DescribeInstances"),
        0,
        "the launch tells the private address"
    );
}

#[tokio::test]
async fn what_is_made_is_found_by_its_tags_and_on_the_disk_at_once() {
    let room = Room::new().await;
    let machine = room
        .created(&[("request-spot-instance", "true"), ("tags", "a,b")])
        .await;
    let [instance] = &room.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let id = machine.save()["Id"].as_str().unwrap().to_owned();
    assert!(!id.is_empty());
    let mut tagged = vec![instance.id.clone(), instance.spot_request.clone().unwrap()];
    tagged.extend(instance.volumes.values().cloned());
    tagged.extend(instance.interfaces.clone());
    tagged.push(room.lab.key_pairs()[0].id.clone());
    for resource in tagged {
        let tags = room.lab.tags(&resource);
        assert_eq!(tags["docker-machine:store"], "store-1", "{resource}");
        assert_eq!(tags["docker-machine:id"], id, "{resource}");
    }
    assert_eq!(room.journal.driver()["InstanceId"], instance.id.as_str());
    assert_eq!(room.journal.driver()["KeyName"], "e1");
    assert_eq!(room.reloaded().docker_url(), machine.docker_url());
}

#[tokio::test]
async fn a_machine_goes_down_and_up_and_away() {
    let times = Durations {
        pending: Duration::from_secs(6),
        stopping: Duration::from_secs(9),
        ..Durations::default()
    };
    let room = Room::with(Lab::builder().durations(times.clone())).await;
    let mut machine = room.machine(&[("use-private-address", "false")]);
    machine.preflight(&room.cx).await.unwrap();
    machine
        .create(
            &KeyMaterial {
                public: room::PUBLIC.into(),
            },
            &room.cx,
        )
        .await
        .unwrap();
    assert_eq!(machine.saved_address(), None);
    assert_eq!(
        machine.state(&room.cx).await.unwrap(),
        MachineState::Starting
    );
    machine.await_address(&room.cx).await.unwrap();
    let first = machine.saved_address().unwrap();
    room.lab.clock().advance(times.pending);
    assert_eq!(
        machine.state(&room.cx).await.unwrap(),
        MachineState::Running
    );
    machine.stop(&room.cx).await.unwrap();
    assert_eq!(
        machine.state(&room.cx).await.unwrap(),
        MachineState::Stopped
    );
    assert_eq!(
        machine.saved_address().unwrap(),
        first,
        "a stopped machine keeps its address on record"
    );
    machine.start(&room.cx).await.unwrap();
    machine.await_address(&room.cx).await.unwrap();
    assert_ne!(machine.saved_address().unwrap(), first);
    machine.restart(&room.cx).await.unwrap();
    machine.kill(&room.cx).await.unwrap();
    let report = room.undo(&*machine).await;
    assert!(report.is_clean(), "{:?}", report.left);
    assert_eq!(room.lab.left_over(), Vec::<String>::new());
    let again = room.undo(&*machine).await;
    assert!(again.is_clean() && again.gone == 0);
}

#[tokio::test]
async fn a_spot_instance_that_cannot_be_stopped_is_told_at_once() {
    let room = Room::new().await;
    let mut machine = room.created(&[("request-spot-instance", "true")]).await;
    assert_eq!(
        machine.stop(&room.cx).await.unwrap_err().kind,
        DriverErrorKind::Unsupported
    );
}

#[tokio::test]
async fn a_fresh_key_and_group_may_be_unknown_for_a_moment() {
    let room = Room::new().await;
    for kind in [
        Kind::KeyPair,
        Kind::SecurityGroup,
        Kind::Instance,
        Kind::Tags,
    ] {
        room.lab
            .blind(kind, Blindness::flicker(Duration::from_secs(2)));
    }
    let machine = room.created(&[("use-private-address", "false")]).await;
    assert!(machine.state(&room.cx).await.is_ok());
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn the_key_pairs_name_is_on_the_disk_before_there_is_one() {
    let room = Room::new().await;
    let import = room.lab.hold("ImportKeyPair");
    let mut machine = room.machine(&[]);
    let looked = async {
        import.arrived(1).await;
        let name = room.journal.driver()["KeyName"].clone();
        import.open();
        name
    };
    let (created, name) = tokio::join!(room.create(&mut machine), looked);
    created.unwrap();
    assert_eq!(name, "e1");
}

#[tokio::test]
async fn a_key_pair_of_somebody_else_is_refused_and_a_left_over_replaced() {
    let room = Room::new().await;
    let first = room.created(&[]).await;
    drop(first);
    // The store lost the machine: its key pair is a left-over.
    let mut second = AmazonEc2
        .configure(&room.base("e1"), &room::options(&room.flags(&[])))
        .unwrap();
    room.create(&mut second).await.unwrap();
    assert_eq!(room.lab.key_pairs().len(), 1);
    let mut stranger = room.base("e1");
    stranger.store_id = "store-2".into();
    let mut third = AmazonEc2
        .configure(&stranger, &room::options(&room.flags(&[])))
        .unwrap();
    third.preflight(&room.cx).await.unwrap();
    let other_key = KeyMaterial {
        public: room::PUBLIC.replace("IF3v", "IG4w"),
    };
    let error = third.create(&other_key, &room.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert_eq!(
        error.to_string(),
        "There is already a keypair with the name e1. Please either remove that keypair or use a different machine name."
    );
    let last = room.journal.entries().unwrap().pop().unwrap();
    assert_eq!(last.phase, Phase::NotMade);
}

#[tokio::test]
async fn where_there_is_no_capacity_the_next_candidate_is_tried() {
    let room = Room::new().await;
    room.lab
        .shortage(Shortage::new("InsufficientInstanceCapacity").of_type("m5.large"));
    let types = [
        ("instance-type", "t3.small"),
        ("instance-type", "c5.large"),
        ("instance-type", "m5.large"),
    ];
    let machine = room.created(&types).await;
    assert_eq!(machine.save()["InstanceType"], "t3.small");
    assert_eq!(room.lab.count("RunInstances"), 2);
    // The next create knows already.
    let mut next = AmazonEc2
        .configure(&room.base("e2"), &room::options(&room.flags(&types)))
        .unwrap();
    room.create(&mut next).await.unwrap();
    assert_eq!(room.lab.count("RunInstances"), 3);
}

#[tokio::test]
async fn where_tagging_is_denied_the_launch_carries_fewer_tags() {
    let room = Room::new().await;
    room.lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    let machine = room.created(&[("tags", "team,x")]).await;
    let [instance] = &room.lab.live_instances()[..] else {
        panic!("one instance")
    };
    let tags = room.lab.tags(&instance.id);
    assert_eq!(tags["team"], "x");
    assert!(!tags.contains_key("docker-machine:store"));
    assert!(
        room.told.lines().contains("fewer tags"),
        "{}",
        room.told.lines()
    );
    assert!(room.undo(&*machine).await.is_clean());
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let room = Room::new().await;
    room.lab.inject(
        Fault::error("*", "RequestLimitExceeded")
            .when(|call| call.seq % 3 != 0)
            .times(20),
    );
    let machine = room.created(&[]).await;
    assert_eq!(room.lab.live_instances().len(), 1);
    assert!(room.undo(&*machine).await.is_clean());
    let room = Room::new().await;
    room.lab
        .inject(Fault::error("*", "RequestLimitExceeded").always());
    let error = room
        .create(&mut room.machine(&[("retries", "-1")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Unavailable);
    assert!(
        room.lab.calls().len() <= 4,
        "no retries: {:?}",
        room.lab.counts()
    );
}

#[tokio::test]
async fn the_states_of_many_machines_are_one_call() {
    let room = Room::new().await;
    let mut machines = Vec::new();
    for name in ["a", "b", "c"] {
        let mut machine = AmazonEc2
            .configure(&room.base(name), &room::options(&room.flags(&[])))
            .unwrap();
        room.create(&mut machine).await.unwrap();
        machines.push(machine);
    }
    machines[1].stop(&room.cx).await.unwrap();
    room.lab.clear_calls();
    let clouds: Vec<_> = machines.iter().filter_map(|m| m.cloud()).collect();
    assert!(
        clouds
            .iter()
            .all(|cloud| cloud.route() == clouds[0].route())
    );
    let ids: Vec<_> = clouds.iter().filter_map(|cloud| cloud.id()).collect();
    let states = clouds[0].states(&ids, &room.cx).await;
    let states: Vec<_> = states.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        states,
        [
            MachineState::Running,
            MachineState::Stopped,
            MachineState::Running
        ]
    );
    assert_eq!(
        room.lab.counts(),
        [("DescribeInstances".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn what_no_machine_owns_is_listed_and_removed() {
    let room = Room::new().await;
    let machine = room.created(&[("request-spot-instance", "true")]).await;
    let left = machine
        .left_behind(room::owner("store-1"), &room.cx)
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
            .left_behind(room::owner("store-2"), &room.cx)
            .await
            .unwrap()
            .is_empty()
    );
    for item in &left {
        machine.undo(&item.resource, &room.cx).await.unwrap();
    }
    assert!(room.lab.clean(), "{:?}", room.lab.left_over());
}

#[tokio::test]
async fn a_refusal_says_what_would_allow_it_and_no_secret_is_told() {
    let room = Room::new().await;
    room.lab.deny(Denial::of("ec2:RunInstances"));
    let error = room.create(&mut room.machine(&[])).await.unwrap_err();
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
        room.told.everything(),
        room.journal.entries().unwrap()
    );
    assert!(!everything.contains("SECRETEXAMPLE"));
}

#[tokio::test]
async fn an_instance_that_ends_while_starting_is_told_with_its_reason() {
    let room = Room::with(Lab::builder().pending(Duration::from_secs(20))).await;
    room.lab
        .shortage(Shortage::new("Server.InternalError").after_launch());
    let machine = room.created(&[]).await;
    assert!(machine.ended(&room.cx).await.is_none());
    room.lab.clock().advance(Duration::from_secs(20));
    let error = machine.ended(&room.cx).await.unwrap();
    assert_eq!(error.kind, DriverErrorKind::Ended, "{error}");
    assert!(
        error.to_string().contains("Server.InternalError"),
        "{error}"
    );
}
