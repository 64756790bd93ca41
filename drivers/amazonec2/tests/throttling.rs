//! Throttling: the rate limiter that the processes of one store share.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use driver_amazonec2::AmazonEc2;
use ec2_lab::ec2::{Bucket, Clock, Fault, Throttling};
use fixture::Fixture;
use machine_driver::{Driver, DriverErrorKind, DriverKind};
use machine_ops::Ambient;

const RECORD: &str = ".ec2-rate-limit.json";

/// Buckets of which only the launches' bucket is ever empty: it holds one token, and gains one in two seconds.
fn few_launches() -> Throttling {
    let launch = Bucket {
        size: 1.0,
        rate: 0.5,
    };
    Throttling {
        launch,
        ..Throttling::documented()
    }
}

fn machine(fixture: &Fixture, name: &str) -> Box<dyn Driver> {
    let flags = fixture::options(&fixture.flags(&[]));
    AmazonEc2.configure(&fixture.base(name), &flags).unwrap()
}

fn refused(fixture: &Fixture) -> usize {
    let calls = fixture.lab.calls();
    calls
        .iter()
        .filter(|call| call.error.as_deref() == Some("RequestLimitExceeded"))
        .count()
}

#[tokio::test]
async fn a_single_create_does_not_wait() {
    let fixture = Fixture::new().await;
    fixture.lab.throttle(Some(Throttling::documented()));
    let begun = fixture.cx.ambient.monotonic();
    fixture.created(&[]).await;
    assert_eq!(fixture.cx.ambient.monotonic(), begun);
    assert_eq!(refused(&fixture), 0);
}

#[tokio::test]
async fn commands_that_only_read_write_nothing_unless_ec2_refuses() {
    let fixture = Fixture::new().await;
    fixture.lab.throttle(Some(Throttling::documented()));
    let machine = fixture.machine(&[]);
    assert!(!machine.examine_plan(&fixture.cx).await.is_empty());
    assert!(!fixture.store.path().join(RECORD).exists());
    fixture
        .lab
        .inject(Fault::error("DescribeSubnets", "RequestLimitExceeded").times(2));
    machine.examine_plan(&fixture.cx).await;
    assert_eq!(refused(&fixture), 2);
    assert!(fixture.store.path().join(RECORD).exists());
}

#[tokio::test]
async fn the_record_file_of_older_versions_is_removed() {
    let fixture = Fixture::new().await;
    let old = fixture.store.path().join(".ec2-pace.json");
    std::fs::write(&old, "[]").unwrap();
    fixture.created(&[]).await;
    assert!(!old.exists());
}

#[tokio::test]
async fn creates_after_a_refusal_wait_instead_of_being_refused() {
    let fixture = Fixture::new().await;
    fixture.lab.throttle(Some(few_launches()));
    for name in ["m1", "m2", "m3"] {
        fixture.create(&mut machine(&fixture, name)).await.unwrap();
    }
    let found_out = refused(&fixture);
    assert!(found_out > 0, "the second launch must exceed the limit");
    for name in ["m4", "m5", "m6", "m7", "m8", "m9"] {
        fixture.create(&mut machine(&fixture, name)).await.unwrap();
    }
    assert!(refused(&fixture) <= found_out + 4, "{}", refused(&fixture));
}

#[tokio::test]
async fn a_bucket_that_was_unused_for_long_delays_no_create() {
    let fixture = Fixture::new().await;
    fixture.lab.throttle(Some(few_launches()));
    for name in ["m1", "m2", "m3"] {
        fixture.create(&mut machine(&fixture, name)).await.unwrap();
    }
    fixture.lab.throttle(None);
    fixture.lab.clock().advance(Duration::from_secs(60));
    let begun = fixture.cx.ambient.monotonic();
    fixture.create(&mut machine(&fixture, "m4")).await.unwrap();
    assert_eq!(fixture.cx.ambient.monotonic(), begun);
}

/// Writes another value into each bucket of the record.
fn spoil(fixture: &Fixture, pointer: &str, value: serde_json::Value) {
    let path = fixture.store.path().join(RECORD);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    for entry in record.as_array_mut().unwrap() {
        *entry.pointer_mut(pointer).unwrap() = value.clone();
    }
    std::fs::write(&path, record.to_string()).unwrap();
}

#[tokio::test]
async fn an_unusable_record_is_ignored() {
    for spoiled in [
        |fixture: &Fixture| std::fs::write(fixture.store.path().join(RECORD), "{nonsense").unwrap(),
        |fixture: &Fixture| spoil(fixture, "/bucket", serde_json::json!(-1)),
        |fixture: &Fixture| spoil(fixture, "/bucket/scale", serde_json::json!(1e300)),
        |fixture: &Fixture| spoil(fixture, "/bucket/level", serde_json::json!(-1e300)),
        // The clock was set back in between.
        |fixture: &Fixture| spoil(fixture, "/bucket/at", serde_json::json!(u64::MAX)),
        |fixture: &Fixture| {
            let waiting = serde_json::json!([{"ticket": 0, "seen": u64::MAX}]);
            spoil(fixture, "/bucket/waiting", waiting);
        },
    ] {
        let fixture = Fixture::new().await;
        fixture.lab.throttle(Some(few_launches()));
        fixture.create(&mut machine(&fixture, "m0")).await.unwrap();
        spoiled(&fixture);
        let begun = fixture.cx.ambient.monotonic();
        for name in ["m1", "m2"] {
            fixture.create(&mut machine(&fixture, name)).await.unwrap();
        }
        let waited = fixture.cx.ambient.monotonic().saturating_sub(begun);
        assert!(waited < Duration::from_secs(60), "{waited:?}");
    }
}

#[tokio::test]
async fn without_a_record_each_process_backs_off_on_its_own() {
    let fixture = Fixture::new().await;
    std::fs::create_dir(fixture.store.path().join(RECORD)).unwrap();
    fixture.lab.throttle(Some(few_launches()));
    for name in ["m1", "m2", "m3"] {
        fixture.create(&mut machine(&fixture, name)).await.unwrap();
    }
    assert_eq!(fixture.lab.live_instances().len(), 3);
}

#[tokio::test]
async fn retries_are_limited_and_can_be_disabled() {
    for (retries, longest) in [("5", Duration::from_secs(700)), ("-1", Duration::ZERO)] {
        let fixture = Fixture::new().await;
        fixture
            .lab
            .inject(Fault::error("RunInstances", "RequestLimitExceeded").always());
        let begun = fixture.cx.ambient.monotonic();
        let error = fixture
            .create(&mut fixture.machine(&[("retries", retries)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, DriverErrorKind::Unavailable, "{error}");
        assert!(
            error.to_string().contains("RequestLimitExceeded"),
            "{error}"
        );
        let waited = fixture.cx.ambient.monotonic().saturating_sub(begun);
        assert!(waited <= longest, "{retries}: {waited:?}");
        // A long wait is reported, so that it does not look like a hang.
        let told = fixture
            .told
            .lines()
            .contains("EC2's rate limit of RunInstances");
        assert_eq!(told, !longest.is_zero(), "{}", fixture.told.lines());
    }
}

/// Time on an overloaded computer: a second passes between any two steps.
struct Overloaded(Arc<dyn Ambient>, Clock);

#[async_trait]
impl Ambient for Overloaded {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.1.advance(Duration::from_secs(1));
        self.0.monotonic()
    }
    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
    fn random(&self) -> u64 {
        self.0.random()
    }
}

#[tokio::test]
async fn a_process_that_is_late_for_its_pause_does_not_give_up() {
    let mut fixture = Fixture::new().await;
    let clock = fixture.lab.clock().clone();
    fixture.cx.ambient = Arc::new(Overloaded(fixture.cx.ambient.clone(), clock));
    fixture
        .lab
        .inject(Fault::error("*", "RequestLimitExceeded").times(3));
    fixture.created(&[]).await;
    assert_eq!(fixture.lab.live_instances().len(), 1);
}
