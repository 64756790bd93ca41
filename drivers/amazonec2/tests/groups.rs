//! Security groups: what is enough, what is opened, and to whom.

#![allow(clippy::unwrap_used, clippy::panic)]

mod room;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCOUNT, Denial, Fault, Rule, Source};
use machine_driver::{DriverKind, KeyMaterial};
use room::{REGION, Room};

fn rule(protocol: &str, from: i32, to: i32, source: Source) -> Rule {
    Rule {
        protocol: protocol.into(),
        from,
        to,
        source,
    }
}

fn v4(block: &str) -> Source {
    Source::Ipv4(block.into())
}

/// Adds the group that the driver looks for by default.
fn group(room: &Room, rules: Vec<Rule>) -> String {
    let vpc = &room.vpc;
    room.lab
        .add_security_group(ACCOUNT, REGION, vpc, "docker-machine", rules)
}

/// What a group of this name lets in, as `tcp 22 10.0.0.0/8`.
fn opened(room: &Room, name: &str) -> Vec<String> {
    let groups = room.lab.security_groups();
    let group = groups
        .iter()
        .find(|group| group.name == name && group.vpc == room.vpc);
    let text = |rule: &Rule| {
        let source = match &rule.source {
            Source::Ipv4(text) | Source::Ipv6(text) => text,
            Source::Group(text) | Source::PrefixList(text) => text,
        };
        let ports = match rule.from == rule.to {
            true => rule.from.to_string(),
            false => format!("{}-{}", rule.from, rule.to),
        };
        format!("{} {ports} {source}", rule.protocol)
    };
    group.unwrap().ingress.iter().map(text).collect()
}

#[tokio::test]
async fn a_rule_that_covers_the_port_is_enough_whomever_it_lets_in() {
    let somebody = || Source::Group("sg-0a1b2c3d".into());
    for rules in [
        vec![rule("-1", -1, -1, v4("10.0.0.0/8"))],
        vec![rule("tcp", 0, 65_535, Source::Ipv6("2001:db8::/32".into()))],
        vec![rule("tcp", 20, 3000, somebody())],
        vec![
            rule("tcp", 22, 22, somebody()),
            rule("tcp", 2376, 2376, Source::PrefixList("pl-1".into())),
        ],
    ] {
        let room = Room::new().await;
        group(&room, rules.clone());
        room.created(&[]).await;
        assert_eq!(
            room.lab.count("AuthorizeSecurityGroupIngress"),
            0,
            "{rules:?}"
        );
        assert!(
            !room.told.lines().contains("WARNING"),
            "{}",
            room.told.lines()
        );
    }
}

#[tokio::test]
async fn the_default_group_lets_in_its_members_alone_and_is_opened() {
    let room = Room::new().await;
    room.created(&[
        ("security-group", "default"),
        ("security-group-cidr", "10.0.0.0/8"),
    ])
    .await;
    assert_eq!(
        opened(&room, "default")[1..],
        ["tcp 22 10.0.0.0/8", "tcp 2376 10.0.0.0/8"]
    );
}

#[tokio::test]
async fn a_group_of_another_vpc_is_not_touched() {
    let room = Room::new().await;
    let block = ec2_lab::ec2::Cidr::parse("10.77.0.0/16").unwrap();
    let other = room.lab.add_vpc(ACCOUNT, REGION, block);
    let database = room
        .lab
        .add_security_group(ACCOUNT, REGION, &other, "prod-db", []);
    for more in [
        ("vpc-id", room.vpc.as_str()),
        ("subnet-id", &room.subnets[&'a']),
    ] {
        let mut machine = room.machine(&[("security-group", &database), more]);
        let error = room.create(&mut machine).await.unwrap_err();
        let text = format!("the security group {database} is of {other}");
        assert!(error.to_string().contains(&text), "{error}");
        assert_eq!(error.kind, machine_driver::DriverErrorKind::Configuration);
    }
    for action in [
        "AuthorizeSecurityGroupIngress",
        "ImportKeyPair",
        "RunInstances",
    ] {
        assert_eq!(room.lab.count(action), 0, "{action}");
    }
    let machine = room.machine(&[("security-group", &database)]);
    let checks = machine.examine_plan(&room.cx).await;
    let told = format!("{checks:?}");
    assert!(told.contains(&format!("is of {other}")), "{told}");
}

#[tokio::test]
async fn only_what_no_rule_covers_is_opened() {
    let room = Room::new().await;
    let rules = vec![
        rule("udp", 0, 65_535, v4("0.0.0.0/0")),
        rule("tcp", 23, 2376, v4("10.0.0.0/8")),
    ];
    group(&room, rules);
    room.created(&[("open-port", "80"), ("open-port", "53/udp")])
        .await;
    assert_eq!(
        opened(&room, "docker-machine")[2..],
        ["tcp 22 0.0.0.0/0"],
        "80 lies in the range, and all of UDP is open"
    );
}

#[tokio::test]
async fn ports_are_opened_to_everybody_with_a_warning_or_to_whom_the_flag_names() {
    let room = Room::new().await;
    room.created(&[]).await;
    assert_eq!(
        opened(&room, "docker-machine"),
        ["tcp 22 0.0.0.0/0", "tcp 2376 0.0.0.0/0"]
    );
    let lines = room.told.lines();
    assert!(
        lines.contains("WARNING") && lines.contains("0.0.0.0/0"),
        "{lines}"
    );
    assert!(lines.contains("--amazonec2-security-group-cidr"), "{lines}");

    let room = Room::new().await;
    room.created(&[
        ("security-group-cidr", "10.0.0.0/8"),
        ("security-group-cidr", "2001:db8::/32"),
    ])
    .await;
    assert_eq!(
        opened(&room, "docker-machine"),
        [
            "tcp 22 10.0.0.0/8",
            "tcp 22 2001:db8::/32",
            "tcp 2376 10.0.0.0/8",
            "tcp 2376 2001:db8::/32"
        ]
    );
    assert!(!room.told.lines().contains("WARNING"));
}

#[tokio::test]
async fn ids_stand_beside_names_in_their_order() {
    let room = Room::new().await;
    let known = room
        .lab
        .add_security_group(ACCOUNT, REGION, &room.vpc, "of-somebody", []);
    room.created(&[
        ("security-group", "made-here"),
        ("security-group", &known),
        ("security-group", "made-there"),
    ])
    .await;
    let groups = room.lab.security_groups();
    let id = |name: &str| {
        groups
            .iter()
            .find(|group| group.name == name)
            .unwrap()
            .id
            .clone()
    };
    let launched = room.lab.live_instances()[0].groups.clone();
    assert_eq!(launched, [id("made-here"), known, id("made-there")]);
    for name in ["made-here", "of-somebody", "made-there"] {
        assert_eq!(opened(&room, name).len(), 2, "{name}");
    }
}

#[tokio::test]
async fn readonly_groups_stay_as_they_are() {
    let room = Room::new().await;
    let id = group(&room, Vec::new());
    room.created(&[("security-group-readonly", "true")]).await;
    room.undo(&*room.reloaded()).await;
    room.created(&[("security-group-readonly", "true"), ("security-group", &id)])
        .await;
    assert_eq!(opened(&room, "docker-machine"), Vec::<String>::new());
    assert_eq!(room.lab.count("AuthorizeSecurityGroupIngress"), 0);
    assert!(!room.told.lines().contains("WARNING"));
}

#[tokio::test]
async fn what_somebody_else_made_meanwhile_is_there() {
    let room = Room::new().await;
    let other = tempfile::tempdir().unwrap();
    // Creates of one store tell each other what they have made.
    let machine = |name: &str, store: &std::path::Path| {
        let flags = room::options(&room.flags(&[]));
        let mut base = room.base(name);
        store.clone_into(&mut base.store);
        AmazonEc2.configure(&base, &flags).unwrap()
    };
    let key = KeyMaterial {
        public: room::PUBLIC.into(),
    };
    let mut first = machine("m1", room.store.path());
    let mut second = machine("m2", other.path());
    first.preflight(&room.cx).await.unwrap();
    second.preflight(&room.cx).await.unwrap();
    first.create(&key, &room.cx).await.unwrap();
    // It has not seen the group that is there now.
    second.create(&key, &room.cx).await.unwrap();
    let calls = room.lab.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.error.as_deref() == Some("InvalidGroup.Duplicate"))
    );
    assert_eq!(opened(&room, "docker-machine").len(), 2);

    // One rule that is there fails the whole call: the others are opened all the same.
    let room = Room::new().await;
    room.lab.inject(
        Fault::error(
            "AuthorizeSecurityGroupIngress",
            "InvalidPermission.Duplicate",
        )
        .times(2),
    );
    room.created(&[("open-port", "80")]).await;
    let opened = opened(&room, "docker-machine");
    assert_eq!(opened, ["tcp 2376 0.0.0.0/0", "tcp 80 0.0.0.0/0"]);
}

#[tokio::test]
async fn who_may_not_open_ports_is_told_and_goes_on() {
    let room = Room::new().await;
    group(&room, Vec::new());
    room.lab
        .deny(Denial::of("ec2:AuthorizeSecurityGroupIngress"));
    room.created(&[]).await;
    let lines = room.told.lines();
    assert!(lines.contains("cannot open ports"), "{lines}");
}

#[tokio::test]
async fn a_machine_that_is_spoken_to_over_ipv6_alone_is_reached_over_it() {
    let room = Room::new().await;
    let flags = [
        ("ipv6-address-only", "true"),
        ("ipv6-address-count", "1"),
        ("use-private-address", "false"),
    ];
    let mut machine = room.machine(&flags);
    machine.preflight(&room.cx).await.unwrap();
    let key = KeyMaterial {
        public: room::PUBLIC.into(),
    };
    // Whether this lab has IPv6 to give is another matter: the groups come first.
    let _ = machine.create(&key, &room.cx).await;
    assert_eq!(
        opened(&room, "docker-machine"),
        [
            "tcp 22 0.0.0.0/0",
            "tcp 22 ::/0",
            "tcp 2376 0.0.0.0/0",
            "tcp 2376 ::/0"
        ]
    );
}
