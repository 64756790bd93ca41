//! Security groups: sufficient rules, opened ports, and allowed networks.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{ACCOUNT, Denial, Fault, Rule, Source};
use fixture::{Fixture, REGION};
use machine_driver::{DriverKind, KeyMaterial};

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

/// Adds the driver's default group.
fn group(fixture: &Fixture, rules: Vec<Rule>) -> String {
    let vpc = &fixture.vpc;
    fixture
        .lab
        .add_security_group(ACCOUNT, REGION, vpc, "docker-machine", rules)
}

/// The permitted sources of the group with this name, as `tcp 22 10.0.0.0/8`.
fn opened(fixture: &Fixture, name: &str) -> Vec<String> {
    let groups = fixture.lab.security_groups();
    let group = groups
        .iter()
        .find(|group| group.name == name && group.vpc == fixture.vpc);
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
async fn a_rule_that_covers_the_port_is_sufficient_for_any_source() {
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
        let fixture = Fixture::new().await;
        group(&fixture, rules.clone());
        fixture.created(&[]).await;
        assert_eq!(
            fixture.lab.count("AuthorizeSecurityGroupIngress"),
            0,
            "{rules:?}"
        );
        assert!(
            !fixture.told.lines().contains("WARNING"),
            "{}",
            fixture.told.lines()
        );
    }
}

#[tokio::test]
async fn the_default_group_admits_only_its_members_and_is_opened() {
    let fixture = Fixture::new().await;
    fixture
        .created(&[
            ("security-group", "default"),
            ("security-group-cidr", "10.0.0.0/8"),
        ])
        .await;
    assert_eq!(
        opened(&fixture, "default")[1..],
        ["tcp 22 10.0.0.0/8", "tcp 2376 10.0.0.0/8"]
    );
}

#[tokio::test]
async fn a_group_of_another_vpc_is_not_changed() {
    let fixture = Fixture::new().await;
    let block = ec2_lab::ec2::Cidr::parse("10.77.0.0/16").unwrap();
    let other = fixture.lab.add_vpc(ACCOUNT, REGION, block);
    let database = fixture
        .lab
        .add_security_group(ACCOUNT, REGION, &other, "prod-db", []);
    for more in [
        ("vpc-id", fixture.vpc.as_str()),
        ("subnet-id", &fixture.subnets[&'a']),
    ] {
        let mut machine = fixture.machine(&[("security-group", &database), more]);
        let error = fixture.create(&mut machine).await.unwrap_err();
        let text = format!("the security group {database} is of {other}");
        assert!(error.to_string().contains(&text), "{error}");
        assert_eq!(error.kind, machine_driver::DriverErrorKind::Configuration);
    }
    for action in [
        "AuthorizeSecurityGroupIngress",
        "ImportKeyPair",
        "RunInstances",
    ] {
        assert_eq!(fixture.lab.count(action), 0, "{action}");
    }
    let machine = fixture.machine(&[("security-group", &database)]);
    let checks = machine.examine_plan(&fixture.cx).await;
    let told = format!("{checks:?}");
    assert!(told.contains(&format!("is of {other}")), "{told}");
}

#[tokio::test]
async fn only_ports_without_a_rule_are_opened() {
    let fixture = Fixture::new().await;
    let rules = vec![
        rule("udp", 0, 65_535, v4("0.0.0.0/0")),
        rule("tcp", 23, 2376, v4("10.0.0.0/8")),
    ];
    group(&fixture, rules);
    fixture
        .created(&[("open-port", "80"), ("open-port", "53/udp")])
        .await;
    assert_eq!(
        opened(&fixture, "docker-machine")[2..],
        ["tcp 22 0.0.0.0/0"],
        "80 is in the range, and all of UDP is open"
    );
}

#[tokio::test]
async fn ports_are_opened_to_the_flags_networks_or_to_all_with_a_warning() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    assert_eq!(
        opened(&fixture, "docker-machine"),
        ["tcp 22 0.0.0.0/0", "tcp 2376 0.0.0.0/0"]
    );
    let lines = fixture.told.lines();
    assert!(
        lines.contains("WARNING") && lines.contains("0.0.0.0/0"),
        "{lines}"
    );
    assert!(lines.contains("--amazonec2-security-group-cidr"), "{lines}");

    let fixture = Fixture::new().await;
    fixture
        .created(&[
            ("security-group-cidr", "10.0.0.0/8"),
            ("security-group-cidr", "2001:db8::/32"),
        ])
        .await;
    assert_eq!(
        opened(&fixture, "docker-machine"),
        [
            "tcp 22 10.0.0.0/8",
            "tcp 22 2001:db8::/32",
            "tcp 2376 10.0.0.0/8",
            "tcp 2376 2001:db8::/32"
        ]
    );
    assert!(!fixture.told.lines().contains("WARNING"));
}

#[tokio::test]
async fn ids_and_names_of_groups_keep_their_order() {
    let fixture = Fixture::new().await;
    let known = fixture
        .lab
        .add_security_group(ACCOUNT, REGION, &fixture.vpc, "existing", []);
    fixture
        .created(&[
            ("security-group", "made-here"),
            ("security-group", &known),
            ("security-group", "made-there"),
        ])
        .await;
    let groups = fixture.lab.security_groups();
    let id = |name: &str| {
        groups
            .iter()
            .find(|group| group.name == name)
            .unwrap()
            .id
            .clone()
    };
    let launched = fixture.lab.live_instances()[0].groups.clone();
    assert_eq!(launched, [id("made-here"), known, id("made-there")]);
    for name in ["made-here", "existing", "made-there"] {
        assert_eq!(opened(&fixture, name).len(), 2, "{name}");
    }
}

#[tokio::test]
async fn readonly_groups_are_not_changed() {
    let fixture = Fixture::new().await;
    let id = group(&fixture, Vec::new());
    fixture
        .created(&[("security-group-readonly", "true")])
        .await;
    fixture.undo(&*fixture.reloaded()).await;
    fixture
        .created(&[("security-group-readonly", "true"), ("security-group", &id)])
        .await;
    assert_eq!(opened(&fixture, "docker-machine"), Vec::<String>::new());
    assert_eq!(fixture.lab.count("AuthorizeSecurityGroupIngress"), 0);
    assert!(!fixture.told.lines().contains("WARNING"));
}

#[tokio::test]
async fn groups_and_rules_that_were_created_concurrently_are_used() {
    let fixture = Fixture::new().await;
    let other = tempfile::tempdir().unwrap();
    // Creates of one store share the groups that they created.
    let machine = |name: &str, store: &std::path::Path| {
        let flags = fixture::options(&fixture.flags(&[]));
        let mut base = fixture.base(name);
        store.clone_into(&mut base.store);
        AmazonEc2.configure(&base, &flags).unwrap()
    };
    let key = KeyMaterial {
        public: fixture::PUBLIC.into(),
    };
    let mut first = machine("m1", fixture.store.path());
    let mut second = machine("m2", other.path());
    first.preflight(&fixture.cx).await.unwrap();
    second.preflight(&fixture.cx).await.unwrap();
    first.create(&key, &fixture.cx).await.unwrap();
    // The second create has not seen the first one's group.
    second.create(&key, &fixture.cx).await.unwrap();
    let calls = fixture.lab.calls();
    assert!(
        calls
            .iter()
            .any(|call| call.error.as_deref() == Some("InvalidGroup.Duplicate"))
    );
    assert_eq!(opened(&fixture, "docker-machine").len(), 2);

    // One existing rule makes the whole call fail. The other rules are added anyway.
    let fixture = Fixture::new().await;
    fixture.lab.inject(
        Fault::error(
            "AuthorizeSecurityGroupIngress",
            "InvalidPermission.Duplicate",
        )
        .times(2),
    );
    fixture.created(&[("open-port", "80")]).await;
    let opened = opened(&fixture, "docker-machine");
    assert_eq!(opened, ["tcp 2376 0.0.0.0/0", "tcp 80 0.0.0.0/0"]);
}

#[tokio::test]
async fn a_denied_rule_causes_a_warning_and_the_create_continues() {
    let fixture = Fixture::new().await;
    group(&fixture, Vec::new());
    fixture
        .lab
        .deny(Denial::of("ec2:AuthorizeSecurityGroupIngress"));
    fixture.created(&[]).await;
    let lines = fixture.told.lines();
    assert!(lines.contains("cannot open ports"), "{lines}");
}

#[tokio::test]
async fn ports_are_opened_over_ipv6_for_an_ipv6_only_machine() {
    let fixture = Fixture::new().await;
    let flags = [
        ("ipv6-address-only", "true"),
        ("ipv6-address-count", "1"),
        ("use-private-address", "false"),
    ];
    let mut machine = fixture.machine(&flags);
    machine.preflight(&fixture.cx).await.unwrap();
    let key = KeyMaterial {
        public: fixture::PUBLIC.into(),
    };
    // The create may fail, because the lab may have no IPv6. The groups are created before that.
    let _ = machine.create(&key, &fixture.cx).await;
    assert_eq!(
        opened(&fixture, "docker-machine"),
        [
            "tcp 22 0.0.0.0/0",
            "tcp 22 ::/0",
            "tcp 2376 0.0.0.0/0",
            "tcp 2376 ::/0"
        ]
    );
}
