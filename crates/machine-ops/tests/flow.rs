//! The waiter, the step and the undo, through their public interfaces.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use machine_ops::*;

/// A clock that advances only in a sleep.
#[derive(Default)]
struct ManualClock {
    slept: Mutex<Vec<Duration>>,
    drawn: AtomicU64,
}

#[async_trait]
impl Ambient for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }
    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
        tokio::task::yield_now().await;
    }
    fn random(&self) -> u64 {
        // The top bits, which the jitter uses, stay set; no two values are equal.
        u64::MAX - self.drawn.fetch_add(2, Ordering::Relaxed)
    }
}

fn context() -> (Cx, Arc<MemoryJournal>, Arc<ManualClock>) {
    let (journal, clock) = (
        Arc::<MemoryJournal>::default(),
        Arc::<ManualClock>::default(),
    );
    let cx = Cx {
        ambient: clock.clone(),
        ..Cx::new(journal.clone())
    };
    (cx, journal, clock)
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("no")]
struct No;

fn intent(kind: &str) -> Intent {
    Intent {
        driver: "toy".into(),
        kind: kind.into(),
        key: format!("{kind}-key"),
        ownership: Ownership::Ours,
        undo: if kind == "key-pair" {
            UndoOrder::First
        } else {
            UndoOrder::Reverse
        },
        scope: Scope::default().with("region", "r1"),
        detail: serde_json::Value::Null,
    }
}

#[tokio::test]
async fn a_wait_polls_at_once_and_backs_off() {
    let (cx, _, clock) = context();
    let mut looks = 0;
    let policy = WaitPolicy {
        jitter: 0.0,
        ..WaitPolicy::backing_off(
            Duration::from_secs(1),
            Duration::from_secs(2),
            Duration::from_secs(60),
        )
    };
    let seen = wait_until(&cx, "four looks", policy, async || {
        looks += 1;
        Ok::<_, Infallible>(if looks == 4 {
            Look::Ready(looks)
        } else {
            Look::Pending("not yet".into())
        })
    })
    .await
    .unwrap();
    assert_eq!(seen, 4);
    assert_eq!(
        *clock.slept.lock().unwrap(),
        [1.0, 1.6, 2.0].map(Duration::from_secs_f64)
    );
}

#[tokio::test]
async fn a_wait_can_be_sent_to_another_thread() {
    let (cx, _, clock) = context();
    let looks = AtomicU64::new(0);
    let policy = WaitPolicy::every(Duration::from_secs(1), Duration::from_secs(10));
    let wait: Box<dyn Future<Output = _> + Send + '_> =
        Box::new(wait_until_ready(&cx, "a second look", policy, || async {
            Ok::<_, Infallible>(match looks.fetch_add(1, Ordering::Relaxed) {
                0 => Look::Pending("not yet".into()),
                look => Look::Ready(look),
            })
        }));
    assert_eq!(Box::into_pin(wait).await.unwrap(), 1);
    assert_eq!(clock.monotonic(), Duration::from_secs(1));
}

/// Keeps the waits that are reported, and wakes whoever waits for one.
#[derive(Default)]
struct Reports(Mutex<Vec<Waiting>>, tokio::sync::Notify);

impl Events for Reports {
    fn emit(&self, event: Event) {
        if let Event::Waiting(waiting) = event {
            self.0.lock().unwrap().push(waiting);
            self.1.notify_one();
        }
    }
}

#[tokio::test]
async fn a_first_poll_that_takes_long_is_reported() {
    let (mut cx, _, _) = context();
    let reports = Arc::<Reports>::default();
    cx.events = reports.clone();
    let policy = WaitPolicy::every(Duration::from_secs(1), Duration::from_secs(10));
    // The poll ends once its wait is reported.
    let seen = wait_until(&cx, "a silent sshd", policy, async || {
        reports.1.notified().await;
        Ok::<_, Infallible>(Look::Ready(()))
    });
    tokio::time::timeout(Duration::from_secs(60), seen)
        .await
        .unwrap()
        .unwrap();
    let told = reports.0.lock().unwrap();
    let told: Vec<_> = told.iter().map(|it| (&*it.what, &*it.why)).collect();
    assert_eq!(told, [("a silent sshd", "no answer yet")]);
}

#[tokio::test]
async fn a_wait_times_out_with_the_last_observed_state() {
    let (cx, _, clock) = context();
    let policy = WaitPolicy::every(Duration::from_secs(7), Duration::from_secs(10));
    let error = wait_until::<(), Infallible, _>(&cx, "sshd", policy, async || {
        Ok(Look::Pending("refused".into()))
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "sshd did not happen within 10 s (last seen: refused)"
    );
    assert_eq!(clock.monotonic(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_wait_ends_at_once_on_failure_and_on_cancellation() {
    let (cx, _, clock) = context();
    let policy = WaitPolicy::every(Duration::from_secs(1), Duration::from_secs(10));
    let failed = wait_until::<(), _, _>(&cx, "x", policy, async || Err(No)).await;
    assert!(matches!(failed, Err(WaitError::Failed(No))));
    cx.cancel.cancel("SIGTERM");
    let cancelled = wait_until::<(), Infallible, _>(&cx, "x", policy, async || {
        std::future::pending::<()>().await;
        Ok(Look::Ready(()))
    })
    .await;
    assert!(matches!(cancelled, Err(WaitError::Cancelled("SIGTERM"))));
    assert_eq!(clock.monotonic(), Duration::ZERO);
}

#[tokio::test]
async fn a_step_is_on_record_before_and_after_its_call() {
    let (cx, journal, _) = context();
    let value = cx
        .step("launch", intent("instance"), async {
            let open = open_resources(&journal.entries().unwrap());
            assert!(!open[0].made && open[0].intent.key == "instance-key");
            Ok::<_, StepFailure<No>>(Made {
                value: 7,
                id: Some("i-1".into()),
                scope: Scope::default().with("account", "123"),
            })
        })
        .await
        .unwrap();
    assert_eq!(value, 7);
    let open = open_resources(&journal.entries().unwrap());
    assert_eq!(open[0].id.as_deref(), Some("i-1"));
    let scope = &open[0].intent.scope;
    assert_eq!(
        (scope.get("account"), scope.get("region")),
        (Some("123"), Some("r1"))
    );
}

#[tokio::test]
async fn only_resources_certainly_not_made_are_closed() {
    let (cx, journal, _) = context();
    let refused = cx
        .step::<(), _, _>("a", intent("a"), async { Err(StepFailure::NotMade(No)) })
        .await;
    let lost = cx
        .step::<(), _, _>("b", intent("b"), async { Err(StepFailure::Unknown(No)) })
        .await;
    assert!(matches!(
        (refused, lost),
        (Err(StepError::Call(No)), Err(StepError::Call(No)))
    ));
    let open = open_resources(&journal.entries().unwrap());
    assert_eq!(
        open.iter()
            .map(|r| r.intent.kind.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
}

struct At(Cut);
impl Hook for At {
    fn at(&self, cut: &Cut) -> Result<(), Injected> {
        if *cut == self.0 {
            return Err(Injected {
                step: cut.step.clone(),
                moment: cut.moment,
            });
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_cut_at_any_moment_loses_no_resource() {
    for moment in Moment::ALL {
        let (mut cx, journal, _) = context();
        cx.hook = Arc::new(At(Cut {
            step: "launch".into(),
            moment,
        }));
        let mut called = false;
        let result = cx
            .step("launch", intent("instance"), async {
                called = true;
                Ok::<_, StepFailure<No>>(Made::with_id((), "i-1"))
            })
            .await;
        assert!(matches!(result, Err(StepError::Injected(_))), "{moment:?}");
        let open = open_resources(&journal.entries().unwrap());
        assert_eq!(
            called,
            matches!(moment, Moment::AfterCall | Moment::AfterRecord)
        );
        assert_eq!(
            open.len(),
            usize::from(moment != Moment::BeforeIntent),
            "{moment:?}"
        );
        assert_eq!(open.iter().any(|r| r.made), moment == Moment::AfterRecord);
    }
}

#[tokio::test]
async fn a_cancelled_step_makes_no_call() {
    let (cx, journal, _) = context();
    cx.cancel.cancel("SIGINT");
    let result = cx
        .step::<(), No, _>("launch", intent("instance"), async {
            unreachable!("called after a cancellation")
        })
        .await;
    assert!(matches!(result, Err(StepError::Cancelled("SIGINT"))));
    assert!(journal.entries().unwrap().is_empty());
}

struct Script(Mutex<VecDeque<Result<Undone, No>>>, Mutex<Vec<String>>);

#[async_trait]
impl Undo for Script {
    type Error = No;
    async fn undo(&self, resource: &Resource, _: &Cx) -> Result<Undone, No> {
        self.1.lock().unwrap().push(resource.intent.kind.clone());
        self.0.lock().unwrap().pop_front().unwrap()
    }
}

#[tokio::test]
async fn undo_removes_keys_first_then_in_reverse_order() {
    let (cx, journal, _) = context();
    for kind in ["volume", "key-pair", "instance"] {
        cx.step::<_, No, _>(kind, intent(kind), async { Ok(Made::plain(())) })
            .await
            .unwrap();
    }
    let mut borrowed = intent("security-group");
    borrowed.ownership = Ownership::Borrowed;
    cx.step::<_, No, _>("group", borrowed, async { Ok(Made::plain(())) })
        .await
        .unwrap();

    let script = Script(
        Mutex::new([Ok(Undone::Gone), Err(No), Ok(Undone::Gone)].into()),
        Mutex::default(),
    );
    let report = undo_all(open_resources(&journal.entries().unwrap()), &script, &cx).await;
    assert_eq!(
        *script.1.lock().unwrap(),
        ["key-pair", "instance", "volume"]
    );
    assert_eq!((report.gone, report.left.len()), (2, 1));
    assert_eq!(report.left[0].resource.intent.kind, "instance");

    let again = Script(Mutex::new([Ok(Undone::Gone)].into()), Mutex::default());
    let report = undo_all(open_resources(&journal.entries().unwrap()), &again, &cx).await;
    assert_eq!(*again.1.lock().unwrap(), ["instance"]);
    assert!(report.is_clean());
}

#[tokio::test]
async fn a_timeout_cancels_and_still_records_the_answer() {
    let (cx, journal, _) = context();
    let operation = cx.step("launch", intent("instance"), async {
        assert_eq!(cx.cancel.cancelled().await, "the time limit");
        Ok::<_, StepFailure<No>>(Made::with_id((), "i-1"))
    });
    let result = within(&cx, "create", Duration::from_secs(60), operation).await;
    assert!(matches!(
        result,
        Err(StepError::Cancelled("the time limit"))
    ));
    assert!(open_resources(&journal.entries().unwrap())[0].made);
}

/// Lines in the format of docker-machine 0.17, before entries named their driver.
const WITHOUT_DRIVER: [&str; 3] = [
    r#"{"step":1,"name":"launch instance","at":5,"phase":"intent","kind":"instance","key":"token-1","ownership":"ours","undo":"reverse","scope":{"region":"us-east-1","endpoint":"http://127.0.0.1:5001"},"detail":{"a":1}}"#,
    r#"{"step":1,"name":"launch instance","at":6,"phase":"made","id":"i-1","account":"123456789012"}"#,
    r#"{"step":2,"name":"import key pair","at":7,"phase":"not-made"}"#,
];

#[test]
fn entries_without_a_driver_round_trip() {
    let entries: Vec<Entry> = WITHOUT_DRIVER
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let open = open_resources(&entries);
    let intent = &open[0].intent;
    assert_eq!((open.len(), intent.driver.as_str()), (1, ""));
    let known = ["account", "region", "endpoint"].map(|key| intent.scope.get(key));
    assert_eq!(
        known,
        [
            Some("123456789012"),
            Some("us-east-1"),
            Some("http://127.0.0.1:5001")
        ]
    );
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    for (line, entry) in WITHOUT_DRIVER.iter().zip(&entries) {
        assert_eq!(value(line), serde_json::to_value(entry).unwrap());
    }
}

#[test]
fn an_intent_names_its_driver_on_the_disk() {
    let phase = Phase::Intent {
        intent: intent("instance"),
    };
    let entry = Entry {
        step: 1,
        name: "launch".into(),
        at: 5,
        phase,
    };
    let written = serde_json::to_string(&entry).unwrap();
    assert!(
        written.contains(r#""driver":"toy","kind":"instance""#),
        "{written}"
    );
    assert_eq!(serde_json::from_str::<Entry>(&written).unwrap(), entry);
}

#[test]
fn unknown_scope_values_of_later_versions_are_ignored() {
    let line =
        r#"{"step":1,"name":"n","at":6,"phase":"made","id":"i-1","account":"1","cost":{"usd":3}}"#;
    let entry: Entry = serde_json::from_str(line).unwrap();
    let Phase::Made { scope, .. } = entry.phase else {
        panic!("{line}");
    };
    assert_eq!((scope.get("account"), scope.get("cost")), (Some("1"), None));
}
