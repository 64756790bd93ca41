//! The RunInstances parameters of each flag, in the spelling of every fork.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;

use ec2_lab::ec2::{Denial, Effect, Fault};
use fixture::Fixture;

/// The parameters of the only RunInstances call of a create with these flags.
async fn launch(fixture: &Fixture, flags: &[(&str, &str)]) -> BTreeMap<String, String> {
    fixture.lab.clear_calls();
    let machine = fixture.created(flags).await;
    let calls = fixture.lab.calls();
    let run: Vec<_> = calls
        .iter()
        .filter(|call| call.action == "RunInstances")
        .collect();
    let [call] = run[..] else {
        panic!("{} launches with {flags:?}", run.len())
    };
    assert!(fixture.undo(&*machine).await.is_clean());
    call.params.clone()
}

const VOLUME: &str = "BlockDeviceMapping.1.Ebs";
const INTERFACE: &str = "NetworkInterface.1";
const SPOT: &str = "InstanceMarketOptions.SpotOptions";

#[tokio::test]
async fn every_flag_sets_its_parameters() {
    let fixture = Fixture::new().await;
    let plain = launch(&fixture, &[]).await;
    for unasked in ["Encrypted", "KmsKeyId", "Iops", "Throughput"] {
        assert!(
            !plain.contains_key(&format!("{VOLUME}.{unasked}")),
            "{unasked}"
        );
    }
    let volume = |field: &str| format!("{VOLUME}.{field}");
    let interface = |field: &str| format!("{INTERFACE}.{field}");
    let spot = |field: &str| format!("{SPOT}.{field}");
    let metadata = |field: &str| format!("MetadataOptions.{field}");
    let is_spot = ("request-spot-instance", "true");
    let kms = [
        (volume("Encrypted"), "true"),
        (volume("KmsKeyId"), "alias/k"),
    ];
    let one_address = (interface("Ipv6AddressCount"), "1");
    for (flags, expected) in [
        (
            &[("instance-type", "m5.large")][..],
            vec![("InstanceType".to_owned(), "m5.large")],
        ),
        (&[("root-size", "33")], vec![(volume("VolumeSize"), "33")]),
        (
            &[("volume-type", "gp3")],
            vec![(volume("VolumeType"), "gp3")],
        ),
        (
            &[
                ("volume-type", "gp3"),
                ("volume-iops", "4000"),
                ("volume-throughput", "500"),
            ],
            vec![
                (volume("VolumeType"), "gp3"),
                (volume("Iops"), "4000"),
                (volume("Throughput"), "500"),
            ],
        ),
        (
            &[("volume-type", "io1"), ("volume-iops", "800")],
            vec![(volume("VolumeType"), "io1"), (volume("Iops"), "800")],
        ),
        (
            &[("device-name", "/dev/xvdb")],
            vec![("BlockDeviceMapping.1.DeviceName".to_owned(), "/dev/xvdb")],
        ),
        (
            &[("volume-encrypted", "true")],
            vec![(volume("Encrypted"), "true")],
        ),
        (
            &[("encrypt-ebs-volume", "true")],
            vec![(volume("Encrypted"), "true")],
        ),
        (
            &[("volume-encrypted", "true"), ("volume-kms-key", "alias/k")],
            kms.to_vec(),
        ),
        (
            &[("encrypt-ebs-volume", "true"), ("kms-key", "alias/k")],
            kms.to_vec(),
        ),
        (&[("kms-key", "alias/k")], kms.to_vec()),
        (
            &[("monitoring", "true")],
            vec![("Monitoring.Enabled".to_owned(), "true")],
        ),
        (
            &[("use-ebs-optimized-instance", "true")],
            vec![("EbsOptimized".to_owned(), "true")],
        ),
        (
            &[("iam-instance-profile", "worker")],
            vec![("IamInstanceProfile.Name".to_owned(), "worker")],
        ),
        (
            &[("private-address-only", "true")],
            vec![(interface("AssociatePublicIpAddress"), "false")],
        ),
        (&[("ipv6-address-count", "1")], vec![one_address.clone()]),
        (
            &[("ipv6-address-count", "1"), ("enable-primary-ipv6", "true")],
            vec![one_address.clone(), (interface("PrimaryIpv6"), "true")],
        ),
        (
            &[("ipv6-address-count", "1"), ("ipv6-address-only", "true")],
            vec![
                one_address,
                (interface("AssociatePublicIpAddress"), "false"),
            ],
        ),
        (
            &[("metadata-token", "required")],
            vec![(metadata("HttpTokens"), "required")],
        ),
        (
            &[("http-tokens", "required")],
            vec![(metadata("HttpTokens"), "required")],
        ),
        (
            &[("metadata-token-response-hop-limit", "3")],
            vec![(metadata("HttpPutResponseHopLimit"), "3")],
        ),
        (
            &[("http-put-response-hop-limit", "4")],
            vec![(metadata("HttpPutResponseHopLimit"), "4")],
        ),
        (
            &[("http-endpoint", "disabled")],
            vec![(metadata("HttpEndpoint"), "disabled")],
        ),
        (
            &[("http-protocol-ipv6", "enabled")],
            vec![(metadata("HttpProtocolIpv6"), "enabled")],
        ),
        (
            &[is_spot],
            vec![
                ("InstanceMarketOptions.MarketType".to_owned(), "spot"),
                (spot("MaxPrice"), "0.50"),
            ],
        ),
        (
            &[is_spot, ("spot-price", "")],
            vec![("InstanceMarketOptions.MarketType".to_owned(), "spot")],
        ),
        (
            &[
                is_spot,
                ("spot-price", "0.07"),
                ("block-duration-minutes", "120"),
            ],
            vec![
                ("InstanceMarketOptions.MarketType".to_owned(), "spot"),
                (spot("MaxPrice"), "0.07"),
                (spot("BlockDurationMinutes"), "120"),
            ],
        ),
        (
            &[("max-lifetime", "6h")],
            vec![("InstanceInitiatedShutdownBehavior".to_owned(), "terminate")],
        ),
    ] {
        let sent = launch(&fixture, flags).await;
        // Other tests check user data, tokens and tags.
        let interesting = |params: &BTreeMap<String, String>| {
            let mut params = params.clone();
            params.retain(|name, _| {
                name != "UserData" && name != "ClientToken" && !name.starts_with("TagSpec")
            });
            params
        };
        let mut wanted = interesting(&plain);
        for (name, value) in expected {
            wanted.insert(name, value.to_owned());
        }
        assert_eq!(interesting(&sent), wanted, "{flags:?}");
    }
}

#[tokio::test]
async fn an_instance_profile_may_be_an_arn() {
    let fixture = Fixture::new().await;
    let arn = "arn:aws:iam::123456789012:instance-profile/worker";
    let sent = launch(&fixture, &[("iam-instance-profile", arn)]).await;
    assert_eq!(sent["IamInstanceProfile.Arn"], arn);
    assert!(!sent.contains_key("IamInstanceProfile.Name"));
}

#[tokio::test]
async fn groups_keep_their_order_and_ports_are_opened_in_each() {
    let fixture = Fixture::new().await;
    let flags = [
        ("security-group", "one"),
        ("security-group", "two"),
        ("open-port", "80"),
        ("open-port", "53/udp"),
    ];
    let sent = launch(&fixture, &flags).await;
    let id = |name: &str| {
        let groups = fixture.lab.security_groups();
        groups.into_iter().find(|g| g.name == name).unwrap()
    };
    for (n, name) in [(1, "one"), (2, "two")] {
        let group = id(name);
        assert_eq!(sent[&format!("{INTERFACE}.SecurityGroupId.{n}")], group.id);
        let open: Vec<_> = group
            .ingress
            .iter()
            .map(|rule| (rule.from, rule.protocol.as_str()))
            .collect();
        for port in [(22, "tcp"), (2376, "tcp"), (80, "tcp"), (53, "udp")] {
            assert!(open.contains(&port), "{name}: {port:?} is not in {open:?}");
        }
    }
}

/// The tags of one resource type in a call.
fn tags_of(params: &BTreeMap<String, String>, kind: &str) -> Vec<(String, String)> {
    let prefix = (1..=9)
        .map(|n| format!("TagSpecification.{n}"))
        .find(|prefix| {
            params
                .get(&format!("{prefix}.ResourceType"))
                .map(String::as_str)
                == Some(kind)
        });
    let Some(prefix) = prefix else {
        return Vec::new();
    };
    (1..)
        .map_while(|n| {
            let key = params.get(&format!("{prefix}.Tag.{n}.Key"))?;
            Some((
                key.clone(),
                params[&format!("{prefix}.Tag.{n}.Value")].clone(),
            ))
        })
        .collect()
}

#[tokio::test]
async fn up_to_fifty_tags_are_set_at_creation_and_owner_tags_yield() {
    let fixture = Fixture::new().await;
    let tags = |n: usize| {
        let pairs: Vec<_> = (0..n).map(|i| format!("k{i},v{i}")).collect();
        pairs.join(",")
    };
    for (given, ours) in [(12, 2), (47, 2), (48, 1), (49, 0)] {
        let text = tags(given);
        let spot = ("request-spot-instance", "true");
        let sent = launch(&fixture, &[("tags", &text), spot]).await;
        for kind in [
            "instance",
            "volume",
            "network-interface",
            "spot-instances-request",
        ] {
            let all = tags_of(&sent, kind);
            assert_eq!(all.len(), 1 + given + ours, "{kind} with {given}");
            assert_eq!(all[0], ("Name".to_owned(), "e1".to_owned()));
            assert_eq!(all[given].0, format!("k{}", given - 1));
        }
    }
    let error = fixture.configure(&[("tags", &tags(50))]).err().unwrap();
    assert!(error.to_string().contains("makes 51 tags"), "{error}");
}

#[tokio::test]
async fn owner_tags_have_a_prefix_and_can_be_disabled() {
    let fixture = Fixture::new().await;
    let sent = launch(&fixture, &[("owner-tag-prefix", "acme:ci")]).await;
    let keys: Vec<_> = tags_of(&sent, "instance")
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["Name", "acme:ci:store", "acme:ci:id"]);
    let sent = launch(&fixture, &[("no-owner-tags", "true")]).await;
    assert_eq!(tags_of(&sent, "instance").len(), 1);
}

#[tokio::test]
async fn an_empty_value_means_the_default() {
    let fixture = Fixture::new().await;
    let sent = launch(&fixture, &[("metadata-token", "")]).await;
    assert!(!sent.contains_key("MetadataOptions.HttpTokens"), "{sent:?}");
    let sent = launch(&fixture, &[("instance-type", "")]).await;
    assert_eq!(sent["InstanceType"], "t2.micro");
    // Beside another value, an empty one has no effect.
    let sent = launch(
        &fixture,
        &[("instance-type", "m5.large"), ("instance-type", "")],
    )
    .await;
    assert_eq!(sent["InstanceType"], "m5.large");
}

#[tokio::test]
async fn values_that_ec2_would_refuse_later_are_refused_at_once() {
    let fixture = Fixture::new().await;
    let spot = ("request-spot-instance", "true");
    for (flags, words) in [
        (
            &[("ipv6-address-count", "-1")][..],
            "--amazonec2-ipv6-address-count",
        ),
        (
            &[("ipv6-address-only", "true")],
            "--amazonec2-ipv6-address-count",
        ),
        (
            &[("enable-primary-ipv6", "true")],
            "--amazonec2-ipv6-address-count",
        ),
        (
            &[("block-duration-minutes", "90")],
            "--amazonec2-block-duration-minutes",
        ),
        (&[spot, ("spot-price", "cheap")], "--amazonec2-spot-price"),
        (&[spot, ("spot-price", "-1")], "--amazonec2-spot-price"),
        (
            &[("metadata-token-response-hop-limit", "65")],
            "from 1 to 64",
        ),
        (
            &[("http-put-response-hop-limit", "65")],
            "--amazonec2-http-put-response-hop-limit",
        ),
        (&[("http-endpoint", "on")], "--amazonec2-http-endpoint"),
    ] {
        let Err(error) = fixture.configure(flags) else {
            panic!("{flags:?} is accepted")
        };
        assert!(error.to_string().contains(words), "{flags:?}: {error}");
    }
    assert!(fixture.lab.calls().is_empty());
}

/// The `HttpTokens` of each launch.
fn tokens(fixture: &Fixture) -> Vec<String> {
    let calls = fixture.lab.calls().into_iter();
    calls
        .filter(|call| call.action == "RunInstances")
        .map(|call| call.params["MetadataOptions.HttpTokens"].clone())
        .collect()
}

#[tokio::test]
async fn demanded_session_tokens_are_required_with_a_note() {
    let text = "You can't launch instances with IMDSv1 because httpTokensEnforced is enabled for this account. Either \
                launch the instance with httpTokens=required or contact your account owner to disable \
                httpTokensEnforced using the ModifyInstanceMetadataDefaults API or the account settings in the EC2 \
                console.";
    for by_policy in [false, true] {
        let fixture = Fixture::new().await;
        let is_v1 =
            |call: &ec2_lab::ec2::Call| call.params["MetadataOptions.HttpTokens"] != "required";
        if by_policy {
            let policy = Denial::of("ec2:RunInstances").on_resource("instance");
            fixture
                .lab
                .deny(policy.unless("MetadataOptions.HttpTokens", "required"));
        } else {
            let effect = Effect::Error {
                code: "UnsupportedOperation".into(),
                message: text.into(),
                status: None,
            };
            fixture
                .lab
                .inject(Fault::on("RunInstances", effect).when(is_v1).always());
        }
        let mut machine = fixture.machine(&[]);
        machine.preflight(&fixture.cx).await.unwrap();
        let plan = machine.rehearse(&fixture.cx).await.unwrap().steps;
        assert!(plan.last().unwrap().contains("session tokens"), "{plan:?}");
        fixture.lab.clear_calls();
        // Other refused parameters are left out in addition.
        fixture
            .lab
            .deny(Denial::of("ec2:CreateTags").on_resource("volume"));
        let machine = fixture.created(&[]).await;
        assert_eq!(tokens(&fixture), ["optional", "required", "required"]);
        assert_eq!(machine.save()["MetadataTokenSetting"], "required");
        let told = fixture.told.lines();
        assert_eq!(told.matches("HttpTokens=required").count(), 1, "{told}");
        assert_eq!(told.matches("fewer tags").count(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_refusal_of_tags_leaves_the_metadata_options_unchanged() {
    let fixture = Fixture::new().await;
    // An organization that allows only certain tags.
    fixture
        .lab
        .deny(Denial::of("ec2:RunInstances").with_tag_key("docker-machine:*"));
    let machine = fixture.created(&[]).await;
    assert_eq!(tokens(&fixture), ["optional", "required", "optional"]);
    assert_eq!(machine.save()["MetadataTokenSetting"], "optional");
}

#[tokio::test]
async fn a_block_duration_is_warned_of_once() {
    let fixture = Fixture::new().await;
    let flags = [
        ("request-spot-instance", "true"),
        ("block-duration-minutes", "120"),
    ];
    launch(&fixture, &flags).await;
    let told = fixture.told.lines();
    assert_eq!(
        told.matches("--amazonec2-block-duration-minutes").count(),
        1,
        "{told}"
    );
}
