//! Invalid flags, and answers of EC2 that rule out a machine.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use driver_amazonec2::AmazonEc2;
use fixture::Fixture;
use machine_driver::{DriverErrorKind, DriverKind as _, FlagKind, KeyPlan};

#[tokio::test]
async fn invalid_flags_are_configuration_errors_without_a_call() {
    let fixture = Fixture::new().await;
    let missing = fixture.store.path().join("none").display().to_string();
    for (flags, words) in [
        (
            &[("endpoint", ""), ("region", "xx-nowhere-9")][..],
            "Invalid region specified",
        ),
        (
            &[("endpoint", ""), ("insecure-transport", "true")],
            "using --amazonec2-insecure-transport also requires --amazonec2-endpoint",
        ),
        (&[("secret-key", "")], "need each other"),
        (&[("keypair-name", "kp")], "--amazonec2-ssh-keypath"),
        (&[("ssh-keypath", &missing)], "--amazonec2-ssh-keypath"),
        (&[("userdata", &missing)], "--amazonec2-userdata"),
        (&[("ssh-port", "70000")], "--amazonec2-ssh-port"),
        (&[("open-port", "80/icmp")], "--amazonec2-open-port"),
        (
            &[("root-size", "99999")],
            "invalid --amazonec2-root-size \"99999\": expected a number from 1 to 65536",
        ),
        (&[("endpoint", "foo:bar:baz")], "neither a host nor"),
        (
            &[("endpoint", "http://ec2.example:x")],
            "neither a host nor",
        ),
        (
            &[("owner-tag-prefix", "aws:")],
            "invalid --amazonec2-owner-tag-prefix \"aws:\"",
        ),
        (
            &[("owner-tag-prefix", "AWS")],
            "--amazonec2-owner-tag-prefix",
        ),
        (
            &[("owner-tag-prefix", &"x".repeat(123))],
            "up to 122 characters",
        ),
        (&[("tags", "Aws:x,y")], "the tag \"Aws:x\" begins with aws:"),
        (
            &[("tags", &format!("k,{}", "x".repeat(257)))],
            "a value of more",
        ),
        (
            &[("tags", &format!("{},v", "x".repeat(129)))],
            "a key of more",
        ),
        (
            &[("ssh-user", "a b")],
            "invalid --amazonec2-ssh-user \"a b\": expected a login name without blanks",
        ),
        (
            &[("volume-type", "io1")],
            "--amazonec2-volume-type io1 also requires --amazonec2-volume-iops",
        ),
        (
            &[("volume-type", "io2"), ("volume-iops", "99")],
            "invalid --amazonec2-volume-iops \"99\": expected a number from 100 to 256000",
        ),
        (
            &[("volume-type", "gp3"), ("volume-iops", "2999")],
            "3000 to 80000",
        ),
        (
            &[("volume-iops", "3000")],
            "cannot be used with --amazonec2-volume-type gp2: expected gp3, io1 or io2",
        ),
        (
            &[("volume-throughput", "250")],
            "cannot be used with --amazonec2-volume-type gp2: expected gp3",
        ),
        (
            &[("volume-type", "gp3"), ("volume-throughput", "2001")],
            "a number from 125 to 2000",
        ),
        (
            &[("volume-type", "gp3"), ("volume-throughput", "1000")],
            "requires --amazonec2-volume-iops 4000 or more",
        ),
        (&[("metadata-token", "maybe")], "--amazonec2-metadata-token"),
        (&[("max-lifetime", "soon")], "--amazonec2-max-lifetime"),
        (&[("tags", "a,b,,c,d")], "--amazonec2-tags"),
        (&[("tags", ",a,b")], "--amazonec2-tags"),
        (
            &[("security-group-cidr", "10.0.0.0")],
            "--amazonec2-security-group-cidr",
        ),
        (&[("use-fleet", "true")], "--amazonec2-launch-template"),
        (
            &[("use-fleet", "true"), ("launch-template", "t")],
            "--amazonec2-ssh-keypath",
        ),
        (
            &[
                ("use-fleet", "true"),
                ("launch-template", "t"),
                ("ssh-keypath", "k"),
                ("max-lifetime", "6h"),
            ],
            "--amazonec2-max-lifetime cannot be used with --amazonec2-use-fleet",
        ),
    ] {
        let Err(error) = fixture.configure(flags) else {
            panic!("{flags:?} is accepted")
        };
        assert_eq!(error.kind, DriverErrorKind::Configuration, "{flags:?}");
        assert!(error.to_string().contains(words), "{flags:?}: {error}");
    }
    assert!(fixture.lab.calls().is_empty());
}

#[tokio::test]
async fn answers_that_rule_out_a_machine_create_nothing() {
    let fixture = Fixture::new().await;
    let key = fixture.store.path().join("k");
    std::fs::write(&key, "private").unwrap();
    let key = key.display().to_string();
    use DriverErrorKind::{Configuration, PreCreate};
    for (flags, kind, words) in [
        (
            &[("zone", "us-east-1f")][..],
            PreCreate,
            "unable to find a subnet that is both in the zone us-east-1f and belonging to VPC ID",
        ),
        (
            &[("zone", "A")],
            PreCreate,
            "hint: the VPC has subnets in us-east-1a, us-east-1b, us-east-1c",
        ),
        (
            &[("zone", "us-west-2a")],
            PreCreate,
            "hint: us-west-2a is a zone of the region us-west-2, and --amazonec2-region is us-east-1",
        ),
        (
            &[("vpc-id", "vpc-0123")],
            PreCreate,
            "there is no VPC vpc-0123 in region us-east-1",
        ),
        (
            &[("security-group", "sg-nope")],
            Configuration,
            "there is no security group sg-nope in region us-east-1",
        ),
        (
            &[("subnet-id", "subnet-0000")],
            Configuration,
            "The desired subnet could not be located in this region.",
        ),
        (
            &[("ami", "ami-doesnotexist")],
            PreCreate,
            "there is no image ami-doesnotexist",
        ),
        (&[("instance-type", "t4g.micro")], PreCreate, "x86_64"),
        (
            &[("keypair-name", "kp"), ("ssh-keypath", &key)],
            PreCreate,
            "There is no keypair with the name kp. Please verify the key name provided.",
        ),
        (
            &[("security-group", "sg-0123456789")],
            Configuration,
            "sg-0123456789",
        ),
        (
            &[
                ("vpc-id", "vpc-0123"),
                ("subnet-id", &fixture.subnets[&'a']),
            ],
            Configuration,
            "does not belong to VpcId",
        ),
        (
            &[("subnet-id", &fixture.subnets[&'b'])],
            Configuration,
            "is not in the availability zone",
        ),
    ] {
        let error = fixture
            .create(&mut fixture.machine(flags))
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind, "{flags:?}: {error}");
        let said = format!(
            "{error} hint: {}",
            error.hint.as_deref().unwrap_or_default()
        );
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    let made = fixture
        .lab
        .calls()
        .into_iter()
        .filter(|call| !call.action.starts_with("Describe"));
    assert_eq!(
        made.map(|call| call.action).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn the_flags_determine_the_key_pair() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.machine(&[]).key_plan(),
        KeyPlan::Generate {
            algorithm: "ed25519".into()
        }
    );
    assert_eq!(
        fixture.machine(&[("ssh-key-type", "rsa")]).key_plan(),
        KeyPlan::Generate {
            algorithm: "rsa".into()
        }
    );
    let key = fixture.store.path().join("k");
    std::fs::write(&key, "private").unwrap();
    std::fs::write(key.with_extension("pub"), "public").unwrap();
    let path = key.display().to_string();
    let copy = |public| KeyPlan::Copy {
        private: key.clone(),
        public,
        name: "id_rsa".into(),
        keeps_modes: true,
    };
    assert_eq!(
        fixture.machine(&[("ssh-keypath", &path)]).key_plan(),
        copy(true)
    );
    assert_eq!(
        fixture
            .machine(&[("ssh-keypath", &path), ("keypair-name", "kp")])
            .key_plan(),
        copy(false)
    );
}

#[test]
fn every_flag_is_declared_once_with_a_help_text() {
    let specs = machine_driver::DriverKind::flags(&driver_amazonec2::AmazonEc2);
    let mut names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), specs.len());
    assert!(
        specs
            .iter()
            .all(|spec| spec.name.starts_with("amazonec2-") && !spec.help.is_empty())
    );
    let type_of = specs
        .iter()
        .find(|spec| spec.name == "amazonec2-instance-type")
        .unwrap();
    assert_eq!(
        type_of.kind,
        FlagKind::String {
            default: "t2.micro"
        }
    );
    assert_eq!(type_of.env, Some("AWS_INSTANCE_TYPE"));
}

#[tokio::test]
async fn an_empty_value_means_the_default() {
    let fixture = Fixture::new().await;
    let names = [
        "device-name",
        "instance-type",
        "region",
        "security-group",
        "ssh-key-type",
        "ssh-user",
        "volume-type",
        "zone",
    ];
    let mut plain = fixture.machine(&[("subnet-id", &fixture.subnets[&'a'])]);
    let mut flags: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    flags.push(("subnet-id", fixture.subnets[&'a'].as_str()));
    let mut empty = fixture.machine(&flags);
    for machine in [&mut plain, &mut empty] {
        machine.preflight(&fixture.cx).await.unwrap();
    }
    let (mut plain, mut empty) = (plain.save(), empty.save());
    for saved in [&mut plain, &mut empty] {
        saved.as_object_mut().unwrap().remove("Id");
    }
    assert_eq!(empty, plain);
}

#[tokio::test]
async fn a_stored_empty_login_name_means_the_default() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    let mut saved = machine.save();
    saved["SSHUser"] = "".into();
    let loaded = AmazonEc2.load(&fixture.base("e1"), &saved).unwrap();
    assert_eq!(loaded.ssh().unwrap().user, "ubuntu");
}
