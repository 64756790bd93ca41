//! Invalid input fails with a clear error and the right exit status, and nothing is created.

use std::os::unix::fs::PermissionsExt;

use ec2_lab::ec2::{ACCOUNT, Cidr};
use machine_tests::flows::{Ended, Flow, Home, REGION};

/// Asserts that a refused create left nothing behind.
#[track_caller]
fn assert_nothing_created(flow: &Flow) {
    assert_eq!(flow.changes(), Vec::<String>::new());
    flow.assert_clean();
}

/// Runs a create that must be refused.
async fn refused(flow: &Flow, more: &[&str], code: i32, said: &[&str]) -> Ended {
    let ended = flow.create("m1", more).await.failed(code, said);
    assert_nothing_created(flow);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_driver_is_refused_with_the_available_ones() {
    let flow = Flow::start().await;
    let create = |driver| {
        [
            "create".to_owned(),
            format!("--driver={driver}"),
            "m1".to_owned(),
        ]
    };
    let ended = flow.home.run(create("nimbus")).await;
    // The error lists the available drivers.
    ended.failed(1, &["nimbus", "amazonec2", "generic", "none"]);
    let ended = flow.home.run(["create", "m1"]).await;
    ended.failed(1, &["amazonec2", "generic", "none"]);
    assert_nothing_created(&flow);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_names_are_refused() {
    let flow = Flow::start().await;
    for name in ["m_1!", "-m", ".hidden", "a/b", "..", "m 1", "ü"] {
        let ended = flow.create(name, &[]).await;
        assert_eq!(ended.code, Some(1), "{name:?}: {ended}");
        assert!(!ended.err.is_empty(), "{name:?}: {ended}");
    }
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    let ended = flow.home.run(argv).await;
    ended.failed(1, &["No machine name specified"]);
    assert_nothing_created(&flow);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_are_refused() {
    let mut flow = Flow::start().await;
    flow.home.unset("AWS_ACCESS_KEY_ID");
    flow.home.unset("AWS_SECRET_ACCESS_KEY");
    let said = "Error setting machine configuration from flags provided: amazonec2 driver requires AWS credentials";
    let ended = refused(&flow, &[], 1, &[said]).await;
    // The error names the remedy, and nothing was created.
    assert!(ended.err.contains("--amazonec2-access-key"), "{ended}");
    assert_eq!(ended.out, "", "{ended}");
    assert!(!flow.home.store().join("certs").exists());
    refused(
        &flow,
        &["--amazonec2-access-key=AKIDEXAMPLE"],
        1,
        &["--amazonec2-secret-key"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_region_is_refused() {
    let flow = Flow::start().await;
    // With a custom endpoint every region name is accepted, so this test sets no endpoint.
    let argv = [
        "create",
        "--driver=amazonec2",
        "--amazonec2-region=xx-nowhere-9",
        "m1",
    ];
    flow.home.run(argv).await.failed(1, &["xx-nowhere-9"]);
    assert_nothing_created(&flow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_of_another_vpc_is_refused() {
    let flow = Flow::start().await;
    let block = Cidr::parse("10.9.0.0/16").unwrap();
    let other = flow.lab.add_vpc(ACCOUNT, REGION, block);
    let zone = format!("{REGION}a");
    let subnet = flow
        .lab
        .add_subnet(ACCOUNT, REGION, &other, &zone, block.part(24, 0));
    let ours = flow.lab.vpcs(ACCOUNT, REGION)[0].id.clone();
    let (vpc_flag, subnet_flag) = (
        format!("--amazonec2-vpc-id={ours}"),
        format!("--amazonec2-subnet-id={subnet}"),
    );
    refused(&flow, &[&vpc_flag, &subnet_flag], 1, &[&ours, &subnet]).await;
    let missing = "--amazonec2-subnet-id=subnet-0123456789abcdef0";
    let ended = flow.create("m1", &[&vpc_flag, missing]).await;
    assert!(matches!(ended.code, Some(1 | 3)), "{ended}");
    assert!(ended.err.contains("subnet-0123456789abcdef0"), "{ended}");
    assert_nothing_created(&flow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_without_a_subnet_is_refused() {
    let flow = Flow::start().await;
    let empty = flow
        .lab
        .add_vpc(ACCOUNT, REGION, Cidr::parse("10.9.0.0/16").unwrap());
    let vpc = format!("--amazonec2-vpc-id={empty}");
    refused(&flow, &[&vpc], 3, &[&empty, "us-east-1a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_refused() {
    let flow = Flow::start().await;
    let image = "--amazonec2-ami=ami-0deadbeefdeadbeef";
    refused(&flow, &[image], 3, &["ami-0deadbeefdeadbeef"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_files_are_refused() {
    let flow = Flow::start().await;
    let data = flow.home.path().join("no-user-data");
    let path = data.to_str().unwrap();
    refused(
        &flow,
        &[&format!("--amazonec2-userdata={path}")],
        1,
        &[path],
    )
    .await;

    let endless = ["--amazonec2-userdata=/dev/zero"];
    refused(&flow, &endless, 1, &["/dev/zero", "more than 1 MiB"]).await;

    let key = flow.home.path().join("no-key");
    let path = key.to_str().unwrap();
    refused(
        &flow,
        &[&format!("--amazonec2-ssh-keypath={path}")],
        1,
        &[path],
    )
    .await;
    // No user can read a directory as a file, not even root.
    std::fs::create_dir(&key).unwrap();
    refused(
        &flow,
        &[&format!("--amazonec2-ssh-keypath={path}")],
        1,
        &[path],
    )
    .await;

    let closed = flow.home.file("closed-key", "not readable");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    let path = closed.to_str().unwrap();
    // Root can read it, and finds that it contains no key.
    refused(
        &flow,
        &[&format!("--amazonec2-ssh-keypath={path}")],
        1,
        &[path],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_flags_are_refused() {
    let flow = Flow::start().await;
    for (flag, said) in [
        ("--amazonec2-open-port=99999", "99999"),
        ("--amazonec2-root-size=big", "big"),
        ("--amazonec2-no-such-flag", "amazonec2-no-such-flag"),
        ("--amazonec2-keypair-name=k", "ssh-keypath"),
    ] {
        refused(&flow, &[flag], 1, &[said]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_key_pair_with_the_machines_name_is_refused() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    // Another store in the same account.
    let home = Home::new();
    let mut argv = vec!["create".to_owned()];
    argv.extend(flow.flags());
    argv.extend(["--amazonec2-security-group=another", "m1"].map(str::to_owned));
    let made = flow.changes().len();
    let create = home.run(argv).await;
    let said = "There is already a keypair with the name m1";
    create.failed(3, &["Error with pre-create check", said]);
    // The import fails before anything else is created.
    assert_eq!(flow.changes()[made..], ["ImportKeyPair"]);
    assert_eq!(home.directories(), Vec::<String>::new());
    // The first machine still works.
    flow.home.run(["config", "m1"]).await.ok();
    flow.home.run(["ssh", "m1", "true"]).await.ok();
    assert_eq!(flow.lab.key_pairs().len(), 1);
    assert_eq!(flow.lab.live_instances().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_use_is_refused() {
    let flow = Flow::start().await;
    flow.create("m1", &[]).await.ok();
    let again = flow.create("m1", &[]).await;
    again.failed(1, &["Docker machine \"m1\" already exists"]);
    assert_eq!(flow.lab.live_instances().len(), 1);
    flow.home.run(["config", "m1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_endpoint_is_reported() {
    let flow = Flow::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!(
        "--amazonec2-endpoint=http://{}",
        closed.local_addr().unwrap()
    );
    drop(closed);
    // With a VPC ID, the pre-create check fails. Without one, the configuration fails.
    for (vpc, code, said) in [
        (
            "--amazonec2-vpc-id=vpc-0123456789abcdef0",
            3,
            "Error with pre-create check",
        ),
        (
            "--amazonec2-vpc-id=",
            1,
            "Error setting machine configuration from flags provided",
        ),
    ] {
        let ended = refused(&flow, &[endpoint.as_str(), vpc], code, &[said]).await;
        assert!(ended.err.contains("got no answer"), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_master_needs_a_host_with_a_port() {
    let flow = Flow::start().await;
    let master = ["--swarm", "--swarm-master", "--swarm-discovery=token://x"];
    for host in ["bogus", "tcp://0.0.0.0", "tcp://0.0.0.0:x", "0.0.0.0:3376"] {
        let host = format!("--swarm-host={host}");
        let more = [&master[..], &[host.as_str()]].concat();
        refused(&flow, &more, 1, &["--swarm-host"]).await;
    }
    for (port, expected) in [("3999", "2222 2376 3999"), ("2376", "2222 2376")] {
        let (host, group) = (
            format!("--swarm-host=tcp://0.0.0.0:{port}"),
            format!("--amazonec2-security-group=of-{port}"),
        );
        let more = [&master[..], &[host.as_str(), group.as_str()]].concat();
        flow.create("m1", &more).await.ok();
        let calls = flow.lab.calls().into_iter().rev();
        let opened = calls.filter(|call| call.action == "AuthorizeSecurityGroupIngress");
        let opened = { opened }.next().unwrap();
        let ports: Vec<_> = (1..=4)
            .filter_map(|n| opened.params.get(&format!("IpPermissions.{n}.FromPort")))
            .map(String::as_str)
            .collect();
        assert_eq!(ports.join(" "), expected);
        flow.home.run(["rm", "-y", "m1"]).await.ok();
    }
}

/// The capability that lets root read everything is dropped (capabilities(7)); other users have none.
#[tokio::test]
async fn a_store_that_may_not_be_read_is_not_empty() {
    let home = Home::new();
    let create = ["create", "-d", "none", "--url", "tcp://127.0.0.1:1", "m1"];
    home.run(create).await.ok();
    let machines = home.store().join("machines");
    let set_mode = |mode| {
        std::fs::set_permissions(&machines, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o000);
    let typed = async |words: &str| {
        let line =
            format!("setpriv --bounding-set=-dac_override,-dac_read_search docker-machine {words}");
        home.shell(&line).await
    };
    let (denied, way_out) = ("Permission denied", "sudo -H");
    for words in [
        "ls",
        "ip m1",
        "rm -y m1",
        "rm -f m1",
        "config m1",
        "start m1",
    ] {
        let ended = typed(words).await;
        assert_ne!(ended.code, Some(0), "{ended}");
        assert!(ended.err.contains(denied), "{ended}");
        assert!(ended.err.contains(way_out), "{ended}");
        assert!(!ended.err.contains("does not exist"), "{ended}");
    }
    let doctor = typed("doctor").await;
    assert_eq!(doctor.out.matches(denied).count(), 1, "{doctor}");
    assert!(doctor.out.contains(way_out), "{doctor}");
    assert!(!doctor.out.contains("none yet"), "{doctor}");
    set_mode(0o700);
    home.run(["ip", "m1"]).await.ok();
}
