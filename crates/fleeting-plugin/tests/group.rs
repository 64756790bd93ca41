//! The states of a pool's instances over machines in memory, on a clock that the tests move.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fleeting_plugin::{Config, CreateFailure, Group, Log, Machines, Orphans, Progress, State};
use libmachine::{Addresses, Ambient, Cancel, Member, MemberAccess, MemberState, Stage};
use machine_types::MachineState;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

/// A clock that stands still until a test moves it.
#[derive(Default)]
struct Clock {
    now: watch::Sender<Duration>,
    random: Mutex<u64>,
}

impl Clock {
    fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

#[async_trait]
impl Ambient for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.monotonic() + duration;
        let mut now = self.now.subscribe();
        now.wait_for(|now| *now >= end).await.unwrap();
    }

    fn random(&self) -> u64 {
        let mut random = self.random.lock().unwrap();
        *random += 1;
        *random
    }
}

/// Behaviour of the machines.
#[derive(Default)]
struct World {
    /// The machines in the store, with the state that the cloud tells; `None`: no answer.
    machines: BTreeMap<String, Option<MemberState>>,
    /// Machines of an earlier run.
    found: Vec<Member>,
    /// Why creates fail.
    failure: Option<CreateFailure>,
    /// Whether removals fail.
    refuses: bool,
    /// A machine that another command holds.
    stuck: Option<String>,
    /// When removals were attempted.
    attempts: Vec<(String, Duration)>,
    /// Whether a failed create leaves its machine behind.
    leaves: bool,
    /// Whether the cloud does not answer the search for orphaned resources.
    is_silent: bool,
    searches: usize,
    /// How long a create takes.
    takes: Duration,
    /// When creates began.
    begun: Vec<Duration>,
    /// Calls of the cloud for states.
    queries: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<World>>, Arc<Clock>);

impl Fake {
    fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn names(&self) -> BTreeSet<String> {
        self.with(|world| world.machines.keys().cloned().collect())
    }

    fn tell(&self, name: &str, state: Option<MemberState>) {
        self.with(|world| world.machines.insert(name.to_owned(), state));
    }
}

fn running() -> Option<MemberState> {
    Some(MemberState::Known(
        MachineState::Running,
        Addresses::default(),
    ))
}

#[async_trait]
impl Machines for Fake {
    async fn open(&self) -> Result<Vec<Member>, String> {
        self.with(|world| {
            for member in &world.found {
                world.machines.insert(member.name.clone(), running());
            }
            Ok(world.found.clone())
        })
    }

    async fn create(&self, name: &str, cancel: &Cancel) -> Result<(), CreateFailure> {
        let takes = self.with(|world| {
            world.begun.push(self.1.monotonic());
            world.takes
        });
        self.tell(name, running());
        let cancelled = tokio::select! {
            biased;
            _ = cancel.cancelled() => true,
            () = self.1.sleep(takes) => false,
        };
        let failure = self.with(|world| world.failure.clone());
        let failure = failure.or_else(|| {
            cancelled.then(|| CreateFailure {
                reason: "cancelled".into(),
                is_capacity: false,
            })
        });
        match failure {
            None => Ok(()),
            Some(failure) => {
                self.with(|world| match world.leaves {
                    true => None,
                    false => world.machines.remove(name),
                });
                Err(failure)
            }
        }
    }

    async fn remove(&self, names: &[String], progress: UnboundedSender<Progress>) {
        for name in names {
            let is_refused = self.with(|world| {
                world.attempts.push((name.clone(), self.1.monotonic()));
                world.refuses || world.stuck.as_ref() == Some(name)
            });
            if is_refused {
                continue;
            }
            progress.send(Progress::Ending(name.clone())).unwrap();
            self.with(|world| world.machines.remove(name));
            progress.send(Progress::Removed(name.clone())).unwrap();
        }
        // One machine of the batch is held by another command.
        if self
            .with(|world| world.stuck.clone())
            .is_some_and(|stuck| names.contains(&stuck))
        {
            self.1.sleep(Duration::from_secs(900)).await;
        }
    }

    async fn remove_orphans(&self) -> Orphans {
        self.with(|world| {
            world.searches += 1;
            match world.is_silent {
                true => Orphans::Unknown,
                false => Orphans::None,
            }
        })
    }

    fn exists(&self, name: &str) -> bool {
        self.with(|world| world.machines.contains_key(name))
    }

    fn removed(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let missing = names.iter().filter(|name| !self.exists(name));
        missing.cloned().collect()
    }

    async fn states(&self, names: &BTreeSet<String>) -> BTreeMap<String, MemberState> {
        self.with(|world| {
            world.queries += 1;
            let machines = world.machines.iter();
            machines
                .filter(|(name, _)| names.contains(*name))
                .filter_map(|(name, state)| Some((name.clone(), state.clone()?)))
                .collect()
        })
    }

    async fn access(&self, name: &str) -> Result<MemberAccess, String> {
        Err(name.to_owned())
    }

    fn close(&self) {}
}

const CONFIG: &[u8] =
    br#"{"name":"ci","MachineDriver":"fake","MachineName":"runner-%s","max_size":50}"#;

async fn open(fake: &Fake) -> Arc<Group> {
    let ambient = fake.1.clone();
    let log = Log::new(Box::new(std::io::sink()), ambient.clone());
    let config = Config::parse(CONFIG).unwrap();
    let machines = Arc::new(fake.clone());
    Group::open(config, machines, ambient, log).await.unwrap()
}

/// Lets all tasks run until they wait.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn pass(fake: &Fake, time: Duration) {
    let step = Duration::from_secs(1);
    let mut left = time;
    while left > Duration::ZERO {
        fake.1.advance(step.min(left));
        settle().await;
        left = left.saturating_sub(step);
    }
}

/// What the host knows, by the rules of fleeting's provisioner.
#[derive(Default)]
struct Host {
    pending: usize,
    instances: BTreeMap<String, State>,
}

impl Host {
    fn increase(&mut self, group: &Group, number: u32) -> u32 {
        let promised = group.increase(number);
        self.pending += promised as usize;
        promised
    }

    fn update(&mut self, group: &Group) {
        let shown = group.update();
        for (name, state) in &shown {
            if let Some(known) = self.instances.get_mut(name) {
                *known = *state;
            } else if *state != State::Deleted {
                // The host never adds an instance that is deleted.
                self.instances.insert(name.clone(), *state);
                self.pending = self.pending.saturating_sub(1);
            }
        }
        self.instances.retain(|_, state| *state != State::Deleted);
        group.updated(&shown);
    }

    /// Requests what is missing, every two seconds.
    async fn run(&mut self, fake: &Fake, group: &Group, wanted: usize, time: Duration) {
        for _ in 0..time.as_secs() / 2 {
            let missing = wanted - self.pending - self.instances.len();
            self.increase(group, u32::try_from(missing).unwrap());
            settle().await;
            self.update(group);
            pass(fake, Duration::from_secs(2)).await;
        }
    }

    fn in_state(&self, state: State) -> Vec<String> {
        let known = self.instances.iter();
        let known = known.filter(|(_, own)| **own == state);
        known.map(|(name, _)| name.clone()).collect()
    }
}

async fn with_running(fake: &Fake, number: u32) -> (Arc<Group>, Host) {
    let group = open(fake).await;
    let mut host = Host::default();
    host.increase(&group, number);
    settle().await;
    host.update(&group);
    assert_eq!(host.in_state(State::Running).len(), number as usize);
    (group, host)
}

#[tokio::test]
async fn a_name_that_the_store_has_is_not_promised() {
    let fake = Fake::default();
    // The first random number of the clock.
    fake.tell("runner-ci-00000001", running());
    let group = open(&fake).await;
    group.increase(1);
    settle().await;
    let names: Vec<String> = group.update().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["runner-ci-00000002"]);
    assert!(fake.names().contains("runner-ci-00000001"));
}

#[tokio::test]
async fn promised_instances_are_created_and_then_running() {
    let fake = Fake::default();
    fake.with(|world| world.takes = Duration::from_secs(30));
    let group = open(&fake).await;
    let mut host = Host::default();
    assert_eq!(host.increase(&group, 3), 3);
    settle().await;
    host.update(&group);
    assert_eq!((host.pending, host.in_state(State::Creating).len()), (0, 3));
    pass(&fake, Duration::from_secs(31)).await;
    host.update(&group);
    assert_eq!(host.in_state(State::Running).len(), 3);
}

#[tokio::test]
async fn no_more_than_the_largest_size_is_promised() {
    let group = open(&Fake::default()).await;
    assert_eq!((group.increase(49), group.increase(5)), (49, 1));
}

#[tokio::test]
async fn nothing_is_pending_after_failed_creates() {
    let fake = Fake::default();
    for is_capacity in [false, true] {
        let reason = "no".to_owned();
        let failure = CreateFailure {
            reason,
            is_capacity,
        };
        fake.with(|world| world.failure = Some(failure));
        let group = open(&fake).await;
        let mut host = Host::default();
        host.increase(&group, 5);
        settle().await;
        host.update(&group);
        host.update(&group);
        assert_eq!((host.pending, host.instances.len()), (0, 0));
    }
}

#[tokio::test]
async fn without_capacity_one_create_a_minute_is_tried() {
    let fake = Fake::default();
    let failure = CreateFailure {
        reason: "no capacity".into(),
        is_capacity: true,
    };
    fake.with(|world| world.failure = Some(failure));
    let group = open(&fake).await;
    let mut host = Host::default();
    host.run(&fake, &group, 2, Duration::from_secs(600)).await;
    let begun = fake.with(|world| world.begun.clone());
    // Two began together.
    assert!((9..=12).contains(&begun.len()), "{}", begun.len());
    fake.with(|world| world.failure = None);
    host.run(&fake, &group, 2, Duration::from_secs(64)).await;
    assert_eq!(host.in_state(State::Running).len(), 2);
}

#[tokio::test]
async fn failures_in_a_row_double_the_pause() {
    let fake = Fake::default();
    let failure = CreateFailure {
        reason: "no".into(),
        is_capacity: false,
    };
    fake.with(|world| world.failure = Some(failure));
    let group = open(&fake).await;
    for _ in 0..200 {
        group.increase(1);
        group.updated(&group.update());
        pass(&fake, Duration::from_secs(1)).await;
    }
    let begun = fake.with(|world| world.begun.clone());
    let pauses: Vec<u64> = begun
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(&pauses[..2], [1, 2]);
    assert!(
        pauses.last().is_some_and(|pause| *pause <= 61),
        "{pauses:?}"
    );
}

#[tokio::test]
async fn a_silent_cloud_drops_no_instance() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 3).await;
    fake.with(|world| world.machines.values_mut().for_each(|state| *state = None));
    for _ in 0..60 {
        pass(&fake, Duration::from_secs(10)).await;
        host.update(&group);
        assert_eq!((host.pending, host.in_state(State::Running).len()), (0, 3));
    }
    // At most one query in 15 seconds.
    let queries = fake.with(|world| world.queries);
    assert!((38..=42).contains(&queries), "{queries}");
}

#[tokio::test]
async fn instances_that_ended_are_removed() {
    for state in [
        MemberState::Ended("reclaimed".into()),
        MemberState::Known(MachineState::Stopped, Addresses::default()),
    ] {
        let fake = Fake::default();
        let (group, mut host) = with_running(&fake, 2).await;
        let name = host.in_state(State::Running).remove(0);
        fake.tell(&name, Some(state));
        pass(&fake, Duration::from_secs(16)).await;
        host.update(&group);
        assert_eq!(host.instances.len(), 1);
        assert!(!fake.names().contains(&name));
    }
}

#[tokio::test]
async fn an_instance_is_missing_for_minutes_before_it_is_removed() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 1).await;
    let name = host.in_state(State::Running).remove(0);
    fake.tell(&name, Some(MemberState::Missing("unknown".into())));
    pass(&fake, Duration::from_secs(4 * 60)).await;
    host.update(&group);
    assert_eq!(host.instances.len(), 1);
    fake.tell(&name, running());
    pass(&fake, Duration::from_secs(60)).await;
    fake.tell(&name, Some(MemberState::Missing("unknown".into())));
    pass(&fake, Duration::from_secs(4 * 60)).await;
    host.update(&group);
    assert_eq!(host.instances.len(), 1);
    pass(&fake, Duration::from_secs(2 * 60)).await;
    host.update(&group);
    assert_eq!(host.instances.len(), 0);
}

#[tokio::test]
async fn an_instance_that_a_user_removed_is_deleted() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 2).await;
    let name = host.in_state(State::Running).remove(0);
    fake.with(|world| world.machines.remove(&name));
    host.update(&group);
    assert_eq!(host.instances.len(), 1);
}

#[tokio::test]
async fn decrease_is_idempotent() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 3).await;
    let names = host.in_state(State::Running);
    let unknown = "runner-ci-00000000".to_owned();
    let asked = vec![names[0].clone(), names[1].clone(), unknown];
    assert_eq!(group.decrease(asked.clone()).await, asked);
    assert_eq!(group.decrease(asked.clone()).await, asked);
    host.update(&group);
    assert_eq!(host.in_state(State::Running), [names[2].clone()]);
    assert_eq!(fake.names().len(), 1);
}

#[tokio::test]
async fn decrease_cancels_creates() {
    let fake = Fake::default();
    fake.with(|world| world.takes = Duration::from_secs(300));
    let group = open(&fake).await;
    let mut host = Host::default();
    host.increase(&group, 2);
    settle().await;
    host.update(&group);
    let names = host.in_state(State::Creating);
    assert_eq!(group.decrease(names.clone()).await, names);
    host.update(&group);
    assert_eq!((host.pending, host.instances.len()), (0, 0));
    assert!(fake.names().is_empty());
}

#[tokio::test]
async fn a_refused_removal_is_repeated() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 1).await;
    fake.with(|world| world.refuses = true);
    let names = host.in_state(State::Running);
    // The answer does not wait for the next attempt: the clock stands still.
    assert!(group.decrease(names.clone()).await.is_empty());
    host.update(&group);
    assert_eq!(host.in_state(State::Deleting), names);
    fake.with(|world| world.refuses = false);
    pass(&fake, Duration::from_secs(61)).await;
    host.update(&group);
    assert_eq!(host.instances.len(), 0);
}

#[tokio::test]
async fn what_a_crash_left_is_listed_or_removed() {
    let fake = Fake::default();
    let member = |name: &str, stage| Member {
        name: name.to_owned(),
        stage,
    };
    let found = vec![
        member("whole", Stage::Ready),
        member("half", Stage::HalfMade),
        member("broken", Stage::Unreadable("no JSON".into())),
    ];
    fake.with(|world| world.found = found);
    let group = open(&fake).await;
    // A record that cannot be read may be that of a machine in use.
    assert_eq!(fake.names(), ["broken", "whole"].map(str::to_owned).into());
    assert_eq!(group.update(), [("whole".to_owned(), State::Running)]);
}

#[tokio::test]
async fn a_shutdown_cancels_creates_and_keeps_instances() {
    let fake = Fake::default();
    let (group, _) = with_running(&fake, 1).await;
    fake.with(|world| world.takes = Duration::from_secs(300));
    group.increase(2);
    settle().await;
    assert_eq!(fake.names().len(), 3);
    // The clock stands still: nothing is waited for but the rollback.
    group.shut_down().await;
    assert_eq!(fake.names().len(), 1);
    assert_eq!(group.increase(1), 0);
}

#[tokio::test]
async fn a_removal_is_repeated_after_five_seconds_and_then_more_rarely() {
    let fake = Fake::default();
    let (group, host) = with_running(&fake, 1).await;
    fake.with(|world| world.refuses = true);
    group.decrease(host.in_state(State::Running)).await;
    pass(&fake, Duration::from_secs(200)).await;
    let attempts: Vec<u64> = fake.with(|world| {
        let attempts = world.attempts.iter();
        attempts.map(|(_, time)| time.as_secs()).collect()
    });
    assert_eq!(attempts, [0, 5, 15, 35, 75, 135, 195]);
}

#[tokio::test]
async fn a_failed_rollback_is_a_removal_and_not_the_end() {
    let fake = Fake::default();
    let failure = CreateFailure {
        reason: "no".into(),
        is_capacity: false,
    };
    fake.with(|world| {
        world.failure = Some(failure);
        world.leaves = true;
        world.refuses = true;
    });
    let group = open(&fake).await;
    let mut host = Host::default();
    host.increase(&group, 1);
    settle().await;
    host.update(&group);
    assert_eq!(host.pending, 0);
    let names = host.in_state(State::Deleting);
    assert_eq!(names.len(), 1);
    assert!(group.decrease(names).await.is_empty());
    fake.with(|world| world.refuses = false);
    pass(&fake, Duration::from_secs(61)).await;
    host.update(&group);
    assert!(host.instances.is_empty() && fake.names().is_empty());
}

#[tokio::test]
async fn a_shutdown_attempts_every_removal_once_more() {
    let fake = Fake::default();
    let (group, host) = with_running(&fake, 2).await;
    fake.with(|world| world.refuses = true);
    group.decrease(host.in_state(State::Running)).await;
    fake.with(|world| world.refuses = false);
    // The clock stands still: no pause of a removal is over.
    group.shut_down().await;
    assert!(fake.names().is_empty());
}

#[tokio::test]
async fn a_stuck_machine_does_not_hold_others() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 3).await;
    let names = host.in_state(State::Running);
    fake.with(|world| world.stuck = Some(names[0].clone()));
    let (accepted, ()) = tokio::join!(
        group.decrease(names.clone()),
        pass(&fake, Duration::from_secs(61))
    );
    assert_eq!(accepted, names[1..]);
    host.update(&group);
    assert_eq!(host.in_state(State::Deleting), names[..1]);
}

#[tokio::test]
async fn an_unknown_state_removes_nothing() {
    let fake = Fake::default();
    let (group, mut host) = with_running(&fake, 1).await;
    let name = host.in_state(State::Running).remove(0);
    let state = MemberState::Known(MachineState::Error, Addresses::default());
    fake.tell(&name, Some(state));
    pass(&fake, Duration::from_secs(60)).await;
    host.update(&group);
    assert_eq!(host.in_state(State::Running), [name]);
}

#[tokio::test]
async fn a_success_from_before_a_failure_does_not_end_the_pause() {
    let fake = Fake::default();
    fake.with(|world| world.takes = Duration::from_secs(10));
    let group = open(&fake).await;
    group.increase(1);
    pass(&fake, Duration::from_secs(1)).await;
    let failure = CreateFailure {
        reason: "no capacity".into(),
        is_capacity: true,
    };
    fake.with(|world| {
        world.takes = Duration::ZERO;
        world.failure = Some(failure);
    });
    group.increase(1);
    pass(&fake, Duration::from_secs(1)).await;
    fake.with(|world| world.failure = None);
    pass(&fake, Duration::from_secs(20)).await;
    group.increase(1);
    pass(&fake, Duration::from_secs(20)).await;
    assert_eq!(fake.with(|world| world.begun.len()), 2);
    pass(&fake, Duration::from_secs(30)).await;
    assert_eq!(fake.with(|world| world.begun.len()), 3);
}

#[tokio::test]
async fn orphans_are_searched_for_until_the_cloud_answers() {
    let fake = Fake::default();
    fake.with(|world| world.is_silent = true);
    let (group, ()) = tokio::join!(open(&fake), pass(&fake, Duration::from_secs(20)));
    assert!(group.update().is_empty());
    fake.with(|world| world.is_silent = false);
    pass(&fake, Duration::from_secs(130)).await;
    assert_eq!(fake.with(|world| world.searches), 2);
}
