//! `create --dry-run` checks everything, returns the plan, and creates nothing.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use ec2_lab::ec2::{ACCOUNT, Denial, Fault, Shortage};
use fixture::{AMI, Fixture, REGION};
use machine_driver::{DriverErrorKind, Plan};
use machine_ops::Journal;

/// Runs a dry run, and returns the steps of its plan.
async fn rehearse(
    fixture: &Fixture,
    flags: &[(&str, &str)],
) -> Result<Vec<String>, machine_driver::DriverError> {
    Ok(plan(fixture, flags).await?.steps)
}

/// Runs a dry run, and asserts that it left nothing behind.
async fn plan(
    fixture: &Fixture,
    flags: &[(&str, &str)],
) -> Result<Plan, machine_driver::DriverError> {
    fixture.lab.clear_calls();
    let (keys, groups) = (
        fixture.lab.key_pairs().len(),
        fixture.lab.security_groups().len(),
    );
    let record = fixture.journal.entries().unwrap();
    let mut machine = fixture.machine(flags);
    machine.preflight(&fixture.cx).await?;
    let plan = machine.rehearse(&fixture.cx).await;
    for call in fixture.lab.calls() {
        let asks = call.action.starts_with("Describe");
        let rehearsed = call.params.get("DryRun").map(String::as_str) == Some("true");
        assert!(asks || rehearsed, "{} is no dry run", call.action);
    }
    assert!(fixture.lab.live_instances().is_empty());
    assert_eq!(fixture.lab.key_pairs().len(), keys);
    assert_eq!(fixture.lab.security_groups().len(), groups);
    assert_eq!(
        fixture.journal.entries().unwrap(),
        record,
        "the journal must stay empty"
    );
    plan
}

#[tokio::test]
async fn the_plan_names_every_resource_of_the_create() {
    let fixture = Fixture::new().await;
    let flags = [
        ("instance-type", "t3.small"),
        ("instance-type", "m5.large"),
        ("request-spot-instance", "true"),
        ("spot-fallback", "capacity"),
        ("tags", "team,x"),
    ];
    let plan = rehearse(&fixture, &flags).await.unwrap();
    let subnet = &fixture.subnets[&'a'];
    let place = format!("in us-east-1a ({subnet})");
    assert_eq!(
        plan,
        [
            "import a key pair under the name e1".to_owned(),
            format!("make the security group docker-machine in {}", fixture.vpc),
            format!("use the image {AMI}, with 16 GB of gp2 at /dev/sda1, and log in as ubuntu"),
            format!("launch spot m5.large {place}"),
            format!("or, without capacity, spot t3.small {place}"),
            format!("or, without capacity, m5.large {place}"),
            format!("or, without capacity, t3.small {place}"),
            "tag all of it with Name, team, docker-machine:store, docker-machine:id".to_owned(),
        ]
    );
    let counts = fixture.lab.counts();
    assert_eq!(counts["RunInstances"], 4);
    assert_eq!(counts["ImportKeyPair"], 1);
    assert_eq!(counts["CreateSecurityGroup"], 1);
}

#[tokio::test]
async fn existing_groups_are_used_and_closed_ports_would_be_opened() {
    let fixture = Fixture::new().await;
    let other = fixture.created(&[]).await;
    fixture.undo(&*other).await;
    let plan = rehearse(&fixture, &[]).await.unwrap();
    assert_eq!(plan[1], "use the security group docker-machine as it is");
    let plan = rehearse(&fixture, &[("open-port", "80")]).await.unwrap();
    assert_eq!(plan[1], "open 80/tcp in the security group docker-machine");
    assert_eq!(fixture.lab.count("AuthorizeSecurityGroupIngress"), 1);
    fixture
        .lab
        .deny(Denial::of("ec2:AuthorizeSecurityGroupIngress"));
    let plan = rehearse(&fixture, &[("open-port", "80")]).await.unwrap();
    assert!(
        plan[1].ends_with("in which 80/tcp may not be opened"),
        "{plan:?}"
    );
}

#[tokio::test]
async fn a_dry_run_fails_if_ec2_would_refuse_the_create() {
    let fixture = Fixture::new().await;
    for (denied, kind) in [
        ("ec2:RunInstances", DriverErrorKind::Denied),
        ("ec2:ImportKeyPair", DriverErrorKind::Denied),
        ("ec2:CreateSecurityGroup", DriverErrorKind::Denied),
    ] {
        fixture.lab.heal();
        fixture.lab.deny(Denial::of(denied));
        let error = rehearse(&fixture, &[]).await.unwrap_err();
        assert_eq!(error.kind, kind, "{denied}: {error}");
        assert!(error.hint.unwrap().contains(denied), "{denied}");
    }
    fixture.lab.heal();
    let error = rehearse(&fixture, &[("instance-type", "t99.huge")])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("t99.huge"), "{error}");
    let error = rehearse(&fixture, &[("ami", "ami-0123")])
        .await
        .unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
}

#[tokio::test]
async fn a_name_in_use_is_reported() {
    let fixture = Fixture::new().await;
    let machine = fixture.created(&[]).await;
    let terminated = fixture.undo(&*machine).await;
    assert!(terminated.is_clean());
    // A key pair without an owner: imported by hand.
    fixture.created(&[("no-owner-tags", "true")]).await;
    let id = fixture.lab.live_instances()[0].id.clone();
    let mut other = fixture.machine(&[]);
    other.preflight(&fixture.cx).await.unwrap();
    let error = other.rehearse(&fixture.cx).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::PreCreate);
    assert!(
        error
            .to_string()
            .contains("There is already a keypair with the name e1"),
        "{error}"
    );
    assert_eq!(fixture.lab.live_instances()[0].id, id);
}

#[tokio::test]
async fn candidates_with_a_recorded_shortage_are_not_in_the_plan() {
    let fixture = Fixture::new().await;
    fixture.lab.inject(
        Fault::error("RunInstances", "Unsupported")
            .with_param("InstanceType", "m5.large")
            .always(),
    );
    let types = [("instance-type", "t3.small"), ("instance-type", "m5.large")];
    let plan = rehearse(&fixture, &types).await.unwrap();
    assert!(plan[3].starts_with("launch t3.small"), "{plan:?}");
    let error = rehearse(&fixture, &types[1..]).await.unwrap_err();
    assert_eq!(error.kind, DriverErrorKind::Capacity);
    // EC2 does not report missing capacity in advance.
    fixture.lab.heal();
    fixture
        .lab
        .shortage(Shortage::new("InsufficientInstanceCapacity"));
    assert!(rehearse(&fixture, &types).await.is_ok());
}

#[tokio::test]
async fn the_plan_reports_fewer_tags_and_covers_fleets() {
    let fixture = Fixture::new().await;
    fixture
        .lab
        .deny(Denial::of("ec2:CreateTags").with_tag_key("docker-machine:*"));
    let plan = rehearse(&fixture, &[]).await.unwrap();
    assert_eq!(plan.last().unwrap(), "tag all of it with Name");
    fixture.lab.deny(Denial::of("ec2:CreateTags"));
    let plan = rehearse(&fixture, &[]).await.unwrap();
    assert_eq!(plan.last().unwrap(), "tag the instance afterwards");
    fixture.lab.heal();
    fixture
        .lab
        .add_launch_template(ACCOUNT, REGION, "workers", &[("ImageId", AMI)]);
    let key = fixture.store.path().join("key");
    std::fs::write(&key, "private").unwrap();
    let key = key.display().to_string();
    let flags = [
        ("use-fleet", "true"),
        ("launch-template", "workers"),
        ("ssh-keypath", key.as_str()),
    ];
    let plan = rehearse(&fixture, &flags).await.unwrap();
    assert_eq!(
        plan,
        ["launch a fleet of one on-demand instance with the launch template workers"]
    );
}

#[tokio::test]
async fn an_endpoint_without_dry_run_is_detected() {
    let fixture = Fixture::new().await;
    let answer = r#"<ImportKeyPairResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><keyName>e1</keyName><keyPairId>key-1</keyPairId></ImportKeyPairResponse>"#;
    fixture.lab.inject(Fault::on(
        "ImportKeyPair",
        ec2_lab::ec2::Effect::Garble(answer.into()),
    ));
    let mut machine = fixture.machine(&[]);
    machine.preflight(&fixture.cx).await.unwrap();
    let error = machine.rehearse(&fixture.cx).await.unwrap_err();
    assert!(
        error.to_string().contains(
            "does not know DryRun: ImportKeyPair was carried out (key-1, which is deleted again)"
        ),
        "{error}"
    );
    assert_eq!(fixture.lab.count("DeleteKeyPair"), 1);
}

#[tokio::test]
async fn an_instance_that_a_dry_run_launches_is_terminated() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    let id = fixture.lab.live_instances()[0].id.clone();
    let mut machine = fixture.machine(&[]);
    machine.preflight(&fixture.cx).await.unwrap();
    let answer = format!(
        r#"<RunInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><instancesSet><item><instanceId>{id}</instanceId></item></instancesSet></RunInstancesResponse>"#
    );
    let carried_out = ec2_lab::ec2::Effect::Garble(answer);
    fixture.lab.inject(Fault::on("RunInstances", carried_out));
    let error = machine.rehearse(&fixture.cx).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("({id}, which is terminated again)")),
        "{error}"
    );
    assert!(fixture.lab.live_instances().is_empty());
}

#[tokio::test]
async fn the_plan_tells_the_terms() {
    let fixture = Fixture::new().await;
    let told = async |flags: &[(&str, &str)]| plan(&fixture, flags).await.unwrap().facts;
    let account = ("account", ACCOUNT.to_owned());
    let region = ("region", REGION.to_owned());
    assert_eq!(
        told(&[("use-private-address", "false")]).await,
        [
            region.clone(),
            account.clone(),
            ("address", "public".to_owned()),
            ("market", "on-demand".to_owned()),
        ]
    );
    let flags = [
        ("use-private-address", "true"),
        ("request-spot-instance", "true"),
        ("spot-fallback", "capacity"),
        ("spot-price", "0.3"),
    ];
    assert_eq!(
        told(&flags).await,
        [
            region,
            account,
            ("address", "private".to_owned()),
            ("market", "spot, on-demand without capacity".to_owned()),
            ("maximum_price", "0.3".to_owned()),
        ]
    );
}
