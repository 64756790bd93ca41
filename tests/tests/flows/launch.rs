//! Launches through the binary: by public address, over IPv6, by fleet, with a capacity failure after the launch, and
//! as a dry run.

use std::time::Duration;

use ec2_lab::ec2::{ACCOUNT, Shortage};
use ec2_lab::hosts::HostOptions;
use machine_tests::flows::{Flow, REGION};

/// A lab whose public addresses are also on loopback: tests connect to nothing else.
async fn public() -> Flow {
    Flow::with(HostOptions::default(), |lab| lab.public_loopback()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_reached_at_its_public_address() {
    let flow = public().await;
    flow.create("m1", &["--amazonec2-use-private-address=false"])
        .await
        .ok();
    let instance = &flow.lab.live_instances()[0];
    let address = instance.public_ip.unwrap();
    assert_ne!(Some(address), instance.private_ip);
    assert_eq!(flow.host().spec().address, address);
    let home = &flow.home;
    let url = home.run(["url", "m1"]).await.ok().out;
    assert_eq!(url, format!("tcp://{address}:2376\n"));
    // The certificate is valid for this address.
    home.run(["config", "m1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_public_address_is_reached_at_its_private_one() {
    let flow = public().await;
    let flags = [
        "--amazonec2-use-private-address=false",
        "--amazonec2-private-address-only",
    ];
    flow.create("m1", &flags).await.ok();
    let instance = &flow.lab.live_instances()[0];
    assert_eq!(instance.public_ip, None);
    let address = instance.private_ip.unwrap();
    let ip = flow.home.run(["ip", "m1"]).await.ok().out;
    assert_eq!(ip, format!("{address}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_reached_over_ipv6() {
    let flow = Flow::with(HostOptions::default(), |lab| lab.ipv6_on_loopback()).await;
    let flags = [
        "--amazonec2-ipv6-address-count=1",
        "--amazonec2-enable-primary-ipv6",
        "--amazonec2-ipv6-address-only",
    ];
    flow.create("m1", &flags).await.ok();
    let home = &flow.home;
    assert_eq!(home.run(["url", "m1"]).await.ok().out, "tcp://[::1]:2376\n");
    assert_eq!(home.run(["ip", "m1"]).await.ok().out, "::1\n");
    let config = home.run(["config", "m1"]).await.ok().out;
    assert!(config.contains("-H=tcp://[::1]:2376"), "{config}");
    let listed = home.run(["ls"]).await.ok();
    assert!(listed.out.contains("tcp://[::1]:2376"), "{listed}");
    let whoami = home.run(["ssh", "m1", "id -un"]).await.ok();
    assert_eq!(whoami.out, "ubuntu\n");
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_ends_for_lack_of_capacity_continues_with_another_candidate() {
    let flow = Flow::with(HostOptions::default(), |lab| {
        lab.pending(Duration::from_secs(2))
    })
    .await;
    let shortage = Shortage::new("InsufficientInstanceCapacity").of_type("m5.large");
    flow.lab.shortage(shortage.after_launch());
    let flags = [
        "--amazonec2-instance-type=t3.small",
        "--amazonec2-instance-type=m5.large",
    ];
    let created = flow.create("m1", &flags).await.ok();
    let told = "No m5.large in us-east-1a";
    assert!(
        created.out.contains(told) || created.err.contains(told),
        "{created}"
    );
    let [instance] = &flow.lab.live_instances()[..] else {
        panic!("one instance: {created}")
    };
    assert_eq!(instance.instance_type, "t3.small");
    let home = &flow.home;
    let format = "{{.Driver.InstanceType}} {{.Driver.InstanceId}}";
    let inspected = home.run(["inspect", "-f", format, "m1"]).await.ok().out;
    assert_eq!(inspected, format!("t3.small {}\n", instance.id));
    home.run(["config", "m1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();

    // Without another candidate, the create is rolled back, and the error contains EC2's reason.
    let failed = flow.create("m2", &flags[1..]).await;
    failed.failed(1, &["lack of m5.large capacity"]);
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_creates_a_machine_with_the_key_of_its_template() {
    let flow = Flow::start().await;
    let home = &flow.home;
    // The first machine's key pair serves as the template's.
    flow.create("m1", &[]).await.ok();
    let key = home.file(
        "key",
        std::fs::read(home.machine("m1").join("id_rsa")).unwrap(),
    );
    let subnet = flow.lab.subnets(ACCOUNT, REGION)[0].id.clone();
    let group = flow.lab.security_groups()[0].id.clone();
    flow.lab.add_launch_template(
        ACCOUNT,
        REGION,
        "workers",
        &[
            ("ImageId", "ami-1e749f67"),
            ("KeyName", "m1"),
            ("SecurityGroupId.1", &group),
        ],
    );
    let flags = [
        "--amazonec2-use-fleet".to_owned(),
        "--amazonec2-launch-template=workers".to_owned(),
        format!("--amazonec2-ssh-keypath={}", key.display()),
        "--amazonec2-instance-type=t3.small".to_owned(),
        "--amazonec2-instance-type=m5.large".to_owned(),
        format!("--amazonec2-subnet-id={subnet}"),
    ];
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    flow.create("m2", &flags).await.ok();
    assert_eq!(flow.lab.count("CreateFleet"), 1);
    home.run(["config", "m2"]).await.ok();
    home.run(["rm", "-y", "m2"]).await.ok();
    assert_eq!(
        flow.lab.key_pairs().len(),
        1,
        "the template's key must stay"
    );
    home.run(["config", "m1"]).await.ok();
    home.run(["rm", "-y", "m1"]).await.ok();
    flow.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_its_plan_and_creates_nothing() {
    let flow = Flow::start().await;
    let planned = flow.create("m1", &["--dry-run"]).await.ok();
    for line in [
        "Nothing was made. To create m1 is to",
        "  import a key pair under the name m1",
        "  launch t2.micro in us-east-1a (",
        "region:        us-east-1\naccount:       ",
        "address:       private\nmarket:        on-demand\n",
    ] {
        assert!(planned.out.contains(line), "{line:?}: {planned}");
    }
    assert_eq!(planned.err, "");
    let spot = [
        "--dry-run",
        "--format=json",
        "--amazonec2-request-spot-instance",
    ];
    let object: serde_json::Value =
        serde_json::from_str(&flow.create("m1", &spot).await.ok().out).unwrap();
    assert_eq!(object["market"], "spot");
    assert_eq!(object["maximum_price"], "0.50");
    assert_eq!(object["steps"][0], "import a key pair under the name m1");
    let misplaced = flow.create("m1", &["--format=json"]).await;
    misplaced.failed(1, &["--format requires --dry-run"]);
    let store = flow.home.store();
    assert!(
        !store.exists(),
        "the dry run created a store: {}",
        store.display()
    );
    flow.assert_clean();
    assert!(flow.lab.key_pairs().is_empty());

    // A dry run fails with the same error and exit status as the create.
    let missing = flow
        .create("m1", &["--dry-run", "--amazonec2-ami=ami-0123456789"])
        .await;
    missing.failed(3, &["Error with pre-create check", "there is no image"]);
    let unread = flow.create("m1", &["--dry-run", "--amazonec2-userdata=/nowhere"]);
    unread.await.failed(1, &["--amazonec2-userdata"]);
    assert!(!store.exists());

    // An existing machine is a conflict, and stays unchanged.
    flow.create("m1", &[]).await.ok();
    let taken = flow.create("m1", &["--dry-run"]).await;
    taken.failed(1, &["already exists"]);
    let other = flow
        .home
        .run([
            "create",
            "--dry-run",
            "-d",
            "none",
            "--url",
            "tcp://127.0.0.1:1",
            "n",
        ])
        .await
        .ok();
    assert!(
        other.out.contains("use the engine at tcp://127.0.0.1:1"),
        "{other}"
    );
    assert_eq!(flow.home.directories(), ["m1"]);
}
