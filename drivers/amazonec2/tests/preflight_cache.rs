//! Creates of one store share recent results of pre-flight checks. Other accounts and stores do not.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::time::Duration;

use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Effect, Fault, Gate, OTHER_ACCESS_KEY};
use fixture::Fixture;
use machine_driver::{Driver, DriverKind};

const RECORD: &str = ".ec2-preflight.json";

/// The calls of a create that creates only its key pair and instance.
fn two_calls() -> BTreeMap<String, usize> {
    let calls = ["ImportKeyPair", "RunInstances"];
    calls.map(|call| (call.to_owned(), 1)).into()
}

fn machine(fixture: &Fixture, name: &str, more: &[(&str, &str)]) -> Box<dyn Driver> {
    let options = fixture::options(&fixture.flags(more));
    AmazonEc2.configure(&fixture.base(name), &options).unwrap()
}

#[tokio::test]
async fn a_create_soon_after_another_makes_two_calls() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture.lab.clear_calls();
    fixture
        .create(&mut machine(&fixture, "e2", &[]))
        .await
        .unwrap();
    assert_eq!(fixture.lab.counts(), two_calls());
    assert_eq!(fixture.lab.live_instances().len(), 2);
}

#[tokio::test]
async fn concurrent_creates_read_once_and_create_the_group_once() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    fixture
        .lab
        .inject(Fault::on("DescribeSubnets", Effect::Hold(gate.clone())));
    let [mut one, mut two, mut three] = ["e1", "e2", "e3"].map(|name| machine(&fixture, name, &[]));
    let opening = async {
        gate.arrived(1).await;
        gate.open();
    };
    let (one, two, three, ()) = tokio::join!(
        fixture.create(&mut one),
        fixture.create(&mut two),
        fixture.create(&mut three),
        opening
    );
    one.and(two).and(three).unwrap();
    let counts = fixture.lab.counts();
    assert_eq!(counts["RunInstances"], 3);
    for once in [
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "DescribeSubnets",
        "DescribeImages",
    ] {
        assert_eq!(counts[once], 1, "{counts:?}");
    }
}

#[tokio::test]
async fn a_create_with_other_parameters_does_not_wait_for_one_that_hangs() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    fixture
        .lab
        .inject(Fault::on("DescribeSubnets", Effect::Hold(gate.clone())));
    let mut hanging = machine(&fixture, "e1", &[]);
    let mut other = machine(&fixture, "e2", &[("zone", "us-east-1b")]);
    let others = async {
        gate.arrived(1).await;
        let begun = fixture.cx.ambient.monotonic();
        other.preflight(&fixture.cx).await.unwrap();
        let took = fixture.cx.ambient.monotonic() - begun;
        gate.open();
        took
    };
    let (first, took) = tokio::join!(hanging.preflight(&fixture.cx), others);
    first.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn cached_results_expire_after_seconds() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture.lab.clock().advance(Duration::from_secs(20));
    fixture.lab.clear_calls();
    fixture
        .create(&mut machine(&fixture, "e2", &[]))
        .await
        .unwrap();
    assert_eq!(fixture.lab.count("DescribeSubnets"), 1);
}

#[tokio::test]
async fn other_parameters_are_read_from_ec2() {
    for more in [
        ("instance-type", "m5.large"),
        ("security-group", "other"),
        ("subnet-id", "b"),
        ("ami", "ami-0abc"),
    ] {
        let fixture = Fixture::new().await;
        fixture.created(&[]).await;
        fixture.lab.clear_calls();
        let value = match more.1 {
            "b" => fixture.subnets[&'a'].clone(),
            value => value.to_owned(),
        };
        let mut second = machine(&fixture, "e2", &[(more.0, &value)]);
        let _ = second.preflight(&fixture.cx).await;
        assert_eq!(fixture.lab.count("DescribeImages"), 1, "{more:?}");
    }
}

#[tokio::test]
async fn another_account_does_not_use_the_cache() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    fixture.lab.clear_calls();
    let mut other = machine(&fixture, "e2", &[("access-key", OTHER_ACCESS_KEY)]);
    // The VPC belongs to the first account.
    assert!(other.preflight(&fixture.cx).await.is_err());
    assert_ne!(fixture.lab.count("DescribeSubnets"), 0);
}

#[tokio::test]
async fn the_account_in_the_cache_proves_nothing() {
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    let record = fixture.store.path().join(RECORD);
    let text = std::fs::read_to_string(&record).unwrap();
    let mut entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    for entry in entries.as_array_mut().unwrap() {
        entry["facts"]["account"] = "999999999999".into();
    }
    std::fs::write(&record, entries.to_string()).unwrap();
    fixture
        .create(&mut machine(&fixture, "e2", &[]))
        .await
        .unwrap();
    let journal = format!("{:?}", fixture.resources());
    assert!(!journal.contains("999999999999"), "{journal}");
}

#[tokio::test]
async fn a_launch_that_fails_on_a_cached_result_reads_again() {
    for (code, ami) in [
        ("InvalidSubnetID.NotFound", true),
        ("InvalidAMIID.NotFound", false),
    ] {
        let fixture = Fixture::new().await;
        let flags: &[(&str, &str)] = if ami { &[] } else { &[("ami", "")] };
        fixture
            .create(&mut machine(&fixture, "e1", flags))
            .await
            .unwrap();
        fixture.lab.clear_calls();
        fixture
            .lab
            .inject(Fault::error("RunInstances", code).times(1));
        fixture
            .create(&mut machine(&fixture, "e2", flags))
            .await
            .unwrap();
        assert_eq!(fixture.lab.count("DescribeImages"), 1, "{code}");
        assert_eq!(fixture.lab.count("RunInstances"), 2, "{code}");
        // The new results are shared, too. Without cached results, the launch is not repeated.
        fixture.lab.clear_calls();
        fixture
            .lab
            .inject(Fault::error("RunInstances", code).times(2));
        let failed = fixture.create(&mut machine(&fixture, "e3", flags)).await;
        assert!(failed.is_err());
        assert_eq!(fixture.lab.count("RunInstances"), 2, "{code}");
    }
}

#[tokio::test]
async fn an_unusable_cache_is_ignored() {
    for text in [
        "{nonsense",
        "[{\"at\":-1}]",
        "[]",
        "[{\"question\":1,\"at\":1,\"facts\":{}}]",
    ] {
        let fixture = Fixture::new().await;
        std::fs::write(fixture.store.path().join(RECORD), text).unwrap();
        fixture.created(&[]).await;
        fixture.lab.clear_calls();
        fixture
            .create(&mut machine(&fixture, "e2", &[]))
            .await
            .unwrap();
        assert_eq!(fixture.lab.counts(), two_calls(), "{text}");
    }
    let fixture = Fixture::new().await;
    std::fs::create_dir(fixture.store.path().join(RECORD)).unwrap();
    fixture.created(&[]).await;
    fixture
        .create(&mut machine(&fixture, "e2", &[]))
        .await
        .unwrap();
    assert_eq!(fixture.lab.count("DescribeSubnets"), 2);
}

#[tokio::test]
async fn a_hanging_create_with_the_cache_locked_delays_others_only_briefly() {
    let fixture = Fixture::new().await;
    let path = fixture.store.path().join(RECORD);
    let held = std::fs::File::create(&path).unwrap();
    held.lock().unwrap();
    let begun = fixture.cx.ambient.monotonic();
    fixture.created(&[]).await;
    let waited = fixture.cx.ambient.monotonic().saturating_sub(begun);
    assert!(waited < Duration::from_secs(25), "{waited:?}");
}

#[tokio::test]
async fn the_cache_is_private_and_contains_no_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    fixture.created(&[]).await;
    let record = fixture.store.path().join(RECORD);
    let mode = std::fs::metadata(&record).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!std::fs::read_to_string(record).unwrap().contains("SECRET"));
}
