//! The instances of a pool: their states in memory, and the tasks that create, remove and watch them.
//!
//! No call of the host waits for a create. A name exists from the answer to Increase on: the host forgets nothing that it
//! was promised, and waits for ever for an instance that was promised and never shown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libmachine::{Addresses, Ambient, Cancel, MemberAccess, MemberState, Stage};
use machine_types::MachineState;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::log::{Level, Log};
use crate::machines::{CreateFailure, Machines, Orphans, Progress};

/// Time between two queries of the cloud.
const POLL: Duration = Duration::from_secs(15);

/// Limits of the pause between creates after failures.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Limits of the pause between two attempts to remove a machine.
const SHORTEST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// How long a machine must be missing in the cloud before it counts as gone: a cloud's answers may be minutes old.
const MISSING: Duration = Duration::from_secs(5 * 60);

/// How long Decrease waits for the cloud's answer. The host calls it again.
const DECREASE: Duration = Duration::from_secs(60);

/// How long Init waits in all. After that, what a crash left is removed in the background.
const INIT_TIMEOUT: Duration = Duration::from_secs(19);

/// Pause between two searches for orphaned resources, if the cloud does not answer.
const ORPHANS: Duration = Duration::from_secs(60);

/// Maximum pause between searches while resources cannot be removed.
const LEFT_ORPHANS: Duration = Duration::from_secs(3600);

/// How long Shutdown waits for the rollback of creates. After that, the creates finish it alone.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How many updates show a deleted instance.
const DELETED_UPDATES: u8 = 3;

/// The state of an instance, as the host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is requested, or being created.
    Creating,
    /// It is ready.
    Running,
    /// It is being removed.
    Deleting,
    /// It does not exist any more.
    Deleted,
}

struct Instance {
    state: State,
    /// Cancels its create.
    create: Option<Cancel>,
    /// Whether the cloud has accepted its end.
    is_ending: bool,
    /// Whether an update has shown it.
    is_shown: bool,
    /// The number of updates that have shown it as deleted.
    deleted_updates: u8,
    /// Since when the cloud does not know it.
    missing: Option<Duration>,
    /// The addresses of the last query.
    addresses: Addresses,
}

impl Instance {
    fn new(state: State) -> Self {
        Self {
            state,
            create: None,
            is_ending: false,
            is_shown: false,
            deleted_updates: 0,
            missing: None,
            addresses: Addresses::default(),
        }
    }
}

/// A machine to remove, and when the next attempt is due.
struct Removal {
    due: Duration,
    attempts: u32,
    is_running: bool,
}

#[derive(Default)]
struct Pool {
    instances: BTreeMap<String, Instance>,
    /// Requested instances whose create has not begun.
    queue: VecDeque<String>,
    /// Number of running creates.
    creating: usize,
    /// Number of consecutive failures; those of creates that ran at the same time count once.
    failures: u32,
    last_failure: Option<Duration>,
    /// No create begins earlier.
    paused_until: Option<Duration>,
    removals: BTreeMap<String, Removal>,
    /// Whether the cloud was searched for resources that no machine owns.
    is_searched: bool,
    is_closing: bool,
}

/// A pool and its tasks.
pub struct Group {
    config: Config,
    machines: Arc<dyn Machines>,
    ambient: Arc<dyn Ambient>,
    log: Log,
    pool: Mutex<Pool>,
    changes: watch::Sender<()>,
}

impl Group {
    /// Opens a pool: lists its machines, removes what a crash left half-made, and starts the tasks.
    ///
    /// # Errors
    /// The reason of [`Machines::open`].
    pub async fn open(
        config: Config,
        machines: Arc<dyn Machines>,
        ambient: Arc<dyn Ambient>,
        log: Log,
    ) -> Result<Arc<Self>, String> {
        let begun = ambient.monotonic();
        let members = machines.open().await?;
        let group = Arc::new(Self {
            config,
            machines,
            ambient,
            log,
            pool: Mutex::default(),
            changes: watch::Sender::new(()),
        });
        {
            let mut pool = group.pool();
            for member in members {
                let name = member.name;
                match member.stage {
                    Stage::Ready => {
                        pool.instances.insert(name, Instance::new(State::Running));
                    }
                    Stage::HalfMade => {
                        let interrupted = "its create was interrupted: removing it";
                        group.log.about(Level::Warn, &name, interrupted);
                        pool.remove(&name, begun);
                    }
                    Stage::Unreadable(why) => {
                        let left =
                            format!("{why}: left alone; 'docker-machine rm {name}' removes it");
                        group.log.about(Level::Warn, &name, &left);
                    }
                }
            }
        }
        // They end with this call if the host gives it up.
        let mut tasks = JoinSet::new();
        tasks.spawn(group.clone().create_all());
        tasks.spawn(group.clone().remove_all());
        tasks.spawn(group.clone().watch_all());
        tasks.spawn(group.clone().remove_orphans());
        let settled = group.until(|pool| pool.removals.is_empty() && pool.is_searched);
        if !group.before(begun + INIT_TIMEOUT, settled).await {
            let late = "what an earlier run left is still being removed";
            group.log.line(Level::Warn, late, &[]);
        }
        tasks.detach_all();
        Ok(group)
    }

    /// Promises instances; returns how many.
    pub fn increase(&self, number: u32) -> u32 {
        let mut pool = self.pool();
        let live = |instance: &&Instance| instance.state != State::Deleted;
        let size = pool.instances.values().filter(live).count();
        let free = self
            .config
            .max_size
            .saturating_sub(u32::try_from(size).unwrap_or(u32::MAX));
        let number = if pool.is_closing { 0 } else { number.min(free) };
        for _ in 0..number {
            let name = loop {
                let name = self.config.machine_name(self.ambient.random());
                // A create of an existing name fails, and what it leaves is removed.
                if !pool.instances.contains_key(&name) && !self.machines.exists(&name) {
                    break name;
                }
            };
            pool.instances
                .insert(name.clone(), Instance::new(State::Creating));
            pool.queue.push_back(name);
        }
        self.changed();
        number
    }

    /// Removes instances. Returns those whose end the cloud has accepted, and those that do not exist.
    pub async fn decrease(&self, names: Vec<String>) -> Vec<String> {
        let now = self.ambient.monotonic();
        {
            let mut pool = self.pool();
            for name in &names {
                pool.begin_removal(name, now);
            }
        }
        self.changed();
        let is_ending = |pool: &Pool, name: &String| {
            let instance = pool.instances.get(name);
            instance.is_none_or(|known| known.is_ending || known.state == State::Deleted)
        };
        let is_answered = |pool: &Pool, name: &String| {
            is_ending(pool, name) || pool.is_waiting(name, self.ambient.monotonic())
        };
        let all = self.until(|pool| names.iter().all(|name| is_answered(pool, name)));
        // The rest is removed later; the host sees it as being deleted.
        self.before(now + DECREASE, all).await;
        let pool = self.pool();
        names
            .into_iter()
            .filter(|name| is_ending(&pool, name))
            .collect()
    }

    /// Returns all instances, for an update. An instance that no update has shown is shown as being created first: the
    /// host ignores an unknown instance that is deleted, and would wait for it for ever.
    pub fn update(&self) -> Vec<(String, State)> {
        self.drop_foreign_removals();
        let pool = self.pool();
        let mut shown = Vec::with_capacity(pool.instances.len());
        for (name, instance) in &pool.instances {
            if !instance.is_shown && instance.state == State::Deleted {
                shown.push((name.clone(), State::Creating));
            }
            shown.push((name.clone(), instance.state));
        }
        shown
    }

    /// Notes that the host has received an update.
    pub fn updated(&self, shown: &[(String, State)]) {
        let mut pool = self.pool();
        for (name, state) in shown {
            let Some(instance) = pool.instances.get_mut(name) else {
                continue;
            };
            instance.is_shown = true;
            if *state == State::Deleted {
                instance.deleted_updates += 1;
                if instance.deleted_updates >= DELETED_UPDATES {
                    pool.instances.remove(name);
                }
            }
        }
    }

    /// Returns how to log in to an instance.
    ///
    /// # Errors
    /// The reason: it is unknown or not running, or its files cannot be read.
    pub async fn access(&self, name: &str) -> Result<MemberAccess, String> {
        let known = match self.pool().instances.get(name) {
            Some(instance) if instance.state == State::Running => instance.addresses.clone(),
            Some(_) => return Err(format!("{name} is not running")),
            None => return Err(format!("{name} is no instance of this group")),
        };
        let mut access = self.machines.access(name).await?;
        access.addresses.public = access.addresses.public.or(known.public);
        access.addresses.private = access.addresses.private.or(known.private);
        Ok(access)
    }

    /// Cancels all creates, and waits until they are rolled back, and until each removal was attempted. Other instances
    /// stay.
    pub async fn shut_down(&self) {
        let now = self.ambient.monotonic();
        {
            let mut pool = self.pool();
            pool.is_closing = true;
            for removal in pool.removals.values_mut() {
                removal.due = removal.due.min(now);
            }
            let waiting: Vec<String> = pool.queue.drain(..).collect();
            for name in waiting {
                pool.delete(&name);
            }
            for instance in pool.instances.values() {
                if let Some(create) = &instance.create {
                    create.cancel("the shutdown");
                }
            }
        }
        self.changed();
        let ended = self.until(|pool| {
            let now = self.ambient.monotonic();
            pool.creating == 0 && pool.removals.keys().all(|name| pool.is_waiting(name, now))
        });
        if !self.before(now + SHUTDOWN, ended).await {
            let late = "machines are still being removed: their processes finish that alone";
            self.log.line(Level::Warn, late, &[]);
        }
        self.machines.close();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Waits until a condition holds.
    async fn until(&self, holds: impl Fn(&Pool) -> bool) {
        let mut changes = self.changes.subscribe();
        while !holds(&self.pool()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits for an event, but not beyond a time of the monotonic clock. Returns whether the event came.
    async fn before(&self, until: Duration, event: impl Future<Output = ()>) -> bool {
        let left = until.saturating_sub(self.ambient.monotonic());
        tokio::select! {
            biased;
            () = event => true,
            () = self.ambient.sleep(left) => false,
        }
    }

    /// Waits for a change, or until a time.
    async fn change(&self, changes: &mut watch::Receiver<()>, until: Option<Duration>) {
        let changed = async {
            // The sender lives as long as this group.
            let _ = changes.changed().await;
        };
        match until {
            Some(until) => drop(self.before(until, changed).await),
            None => changed.await,
        }
    }

    /// Starts the creates in the queue.
    async fn create_all(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        loop {
            let next = {
                let mut pool = self.pool();
                let paused = pool
                    .paused_until
                    .filter(|until| *until > self.ambient.monotonic());
                // After failures, one create at a time shows whether they are over.
                let at_once = match pool.failures {
                    0 => self.config.concurrent_creates,
                    _ => 1,
                };
                match paused {
                    None if pool.creating < at_once => pool.queue.pop_front().map(|name| {
                        let cancel = Cancel::new();
                        if let Some(instance) = pool.instances.get_mut(&name) {
                            instance.create = Some(cancel.clone());
                        }
                        pool.creating += 1;
                        Ok((name, cancel))
                    }),
                    paused => Some(Err(paused)),
                }
            };
            match next {
                Some(Ok((name, cancel))) => {
                    tokio::spawn(self.clone().create(name, cancel));
                }
                Some(Err(paused)) => self.change(&mut changes, paused).await,
                None => self.change(&mut changes, None).await,
            }
        }
    }

    async fn create(self: Arc<Self>, name: String, cancel: Cancel) {
        let begun = self.ambient.monotonic();
        let created = self.machines.create(&name, &cancel).await;
        let is_left = created.is_err() && {
            let name = BTreeSet::from([name.clone()]);
            self.machines.removed(&name).is_empty()
        };
        let mut pool = self.pool();
        pool.creating -= 1;
        let state = pool.instances.get_mut(&name).map(|instance| {
            instance.create = None;
            instance.state
        });
        match created {
            Ok(()) => {
                // One that began before the last failure proves nothing.
                if pool.last_failure.is_none_or(|last| begun > last) {
                    pool.failures = 0;
                    pool.paused_until = None;
                }
                match state {
                    Some(State::Creating) => {
                        if let Some(instance) = pool.instances.get_mut(&name) {
                            instance.state = State::Running;
                        }
                        self.log.about(Level::Info, &name, "instance is running");
                    }
                    // It was to be removed before it was ready.
                    _ => pool.remove(&name, self.ambient.monotonic()),
                }
            }
            Err(failure) => {
                if is_left {
                    if let Some(instance) = pool.instances.get_mut(&name) {
                        instance.state = State::Deleting;
                    }
                    pool.remove(&name, self.ambient.monotonic());
                } else {
                    pool.delete(&name);
                }
                match cancel.reason() {
                    Some(why) => {
                        let message = format!("create was cancelled by {why}");
                        self.log.about(Level::Info, &name, &message);
                    }
                    None => self.failed(&mut pool, &name, begun, &failure),
                }
            }
        }
        drop(pool);
        self.changed();
    }

    /// Notes a failed create, and pauses. A second failure in a row, or a lack of capacity, fails what waits in the queue
    /// too: the host must not count on it.
    fn failed(&self, pool: &mut Pool, name: &str, begun: Duration, failure: &CreateFailure) {
        let message = format!("create failed: {}", failure.reason);
        self.log.about(Level::Error, name, &message);
        let is_known = pool.last_failure.is_some_and(|last| begun <= last);
        if !is_known || pool.failures == 0 {
            pool.failures += 1;
        }
        let now = self.ambient.monotonic();
        pool.last_failure = Some(now);
        let doubled = SHORTEST_PAUSE.saturating_mul(1 << (pool.failures - 1).min(6));
        let pause = match failure.is_capacity {
            true => LONGEST_PAUSE,
            false => doubled.min(LONGEST_PAUSE),
        };
        pool.paused_until = pool.paused_until.max(Some(now + pause));
        if pool.failures < 2 && !failure.is_capacity {
            return;
        }
        let waiting: Vec<String> = pool.queue.drain(..).collect();
        if !waiting.is_empty() {
            let message = format!(
                "{} more requested instances are not created; the next attempt is in {} s",
                waiting.len(),
                pause.as_secs()
            );
            self.log.line(Level::Warn, &message, &[]);
        }
        for name in waiting {
            pool.delete(&name);
        }
    }

    /// Removes machines, all that are due at once, until each is gone.
    async fn remove_all(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        loop {
            let (due, next) = {
                let mut pool = self.pool();
                let now = self.ambient.monotonic();
                let waiting = |removal: &&Removal| !removal.is_running && removal.due > now;
                let next = pool
                    .removals
                    .values()
                    .filter(waiting)
                    .map(|removal| removal.due)
                    .min();
                let mut due = Vec::new();
                for (name, removal) in &mut pool.removals {
                    if !removal.is_running && removal.due <= now {
                        removal.is_running = true;
                        due.push(name.clone());
                    }
                }
                (due, next)
            };
            if due.is_empty() {
                self.change(&mut changes, next).await;
            } else {
                tokio::spawn(self.clone().remove(due));
            }
        }
    }

    async fn remove(self: Arc<Self>, names: Vec<String>) {
        let (sender, mut progress) = mpsc::unbounded_channel();
        let removal = self.machines.remove(&names, sender);
        let noting = async {
            while let Some(step) = progress.recv().await {
                self.note(step);
                self.changed();
            }
        };
        tokio::join!(removal, noting);
        {
            let mut pool = self.pool();
            for name in names {
                if let Some(removal) = pool.removals.get_mut(&name) {
                    let pause = SHORTEST_RETRY.saturating_mul(1 << removal.attempts.min(6));
                    removal.is_running = false;
                    removal.attempts += 1;
                    removal.due = self.ambient.monotonic() + pause.min(LONGEST_RETRY);
                }
            }
        }
        self.changed();
    }

    fn note(&self, step: Progress) {
        let mut pool = self.pool();
        match step {
            Progress::Ending(name) => {
                if let Some(instance) = pool.instances.get_mut(&name) {
                    instance.is_ending = true;
                }
            }
            Progress::Removed(name) => {
                pool.removals.remove(&name);
                pool.delete(&name);
                self.log.about(Level::Info, &name, "instance is removed");
            }
        }
    }

    /// Searches for orphaned resources until there is none.
    async fn remove_orphans(self: Arc<Self>) {
        let mut pause = ORPHANS;
        loop {
            let found = self.machines.remove_orphans().await;
            if found != Orphans::Unknown {
                self.pool().is_searched = true;
                self.changed();
            }
            match found {
                Orphans::None => return,
                // For want of a permission, for example.
                Orphans::Left => pause = (pause * 2).min(LEFT_ORPHANS),
                Orphans::Unknown => pause = ORPHANS,
            }
            self.ambient.sleep(pause).await;
        }
    }

    /// Queries the cloud, and retires instances that have ended. An instance without an answer keeps its state.
    async fn watch_all(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        let mut next = self.ambient.monotonic();
        loop {
            if next > self.ambient.monotonic() {
                self.change(&mut changes, Some(next)).await;
                continue;
            }
            let running = self.pool().running();
            if running.is_empty() {
                self.change(&mut changes, None).await;
                continue;
            }
            next = self.ambient.monotonic() + POLL;
            let states = self.machines.states(&running).await;
            for (name, state) in states {
                self.seen(&name, state);
            }
            self.changed();
        }
    }

    fn seen(&self, name: &str, state: MemberState) {
        let mut pool = self.pool();
        let Some(instance) = pool.instances.get_mut(name) else {
            return;
        };
        if instance.state != State::Running {
            return;
        }
        let why = match state {
            MemberState::Known(MachineState::Running | MachineState::Starting, addresses) => {
                instance.missing = None;
                instance.addresses = addresses;
                return;
            }
            MemberState::Known(state @ (MachineState::Stopping | MachineState::Stopped), _) => {
                format!("the instance is {state}")
            }
            // What proves nothing.
            MemberState::Known(..) | MemberState::Unknown(_) => return,
            MemberState::Ended(why) => why,
            MemberState::Missing(why) => {
                let now = self.ambient.monotonic();
                if now.saturating_sub(*instance.missing.get_or_insert(now)) < MISSING {
                    return;
                }
                why
            }
        };
        let message = format!("{why}: removing it");
        self.log.about(Level::Warn, name, &message);
        pool.begin_removal(name, self.ambient.monotonic());
    }

    /// Deletes instances that somebody has removed from the store.
    fn drop_foreign_removals(&self) {
        let running = self.pool().running();
        for name in self.machines.removed(&running) {
            self.pool().delete(&name);
            let message = "its machine was removed by another command";
            self.log.about(Level::Warn, &name, message);
        }
    }
}

impl Pool {
    fn running(&self) -> BTreeSet<String> {
        let instances = self.instances.iter();
        let running = instances.filter(|(_, known)| known.state == State::Running);
        running.map(|(name, _)| name.clone()).collect()
    }

    /// Returns whether the last attempt to remove a machine has failed, and the next one is not due yet.
    fn is_waiting(&self, name: &str, now: Duration) -> bool {
        let removal = self.removals.get(name);
        removal.is_some_and(|removal| !removal.is_running && removal.due > now)
    }

    /// Begins the removal of an instance, whatever its state.
    fn begin_removal(&mut self, name: &str, now: Duration) {
        let Some(instance) = self.instances.get_mut(name) else {
            return;
        };
        match instance.state {
            State::Creating => match &instance.create {
                // Its rollback removes it.
                Some(create) => {
                    create.cancel("its removal");
                    instance.state = State::Deleting;
                }
                None => {
                    self.queue.retain(|waiting| waiting != name);
                    self.delete(name);
                }
            },
            State::Running => {
                instance.state = State::Deleting;
                self.remove(name, now);
            }
            State::Deleting | State::Deleted => {}
        }
    }

    /// Queues the removal of a machine.
    fn remove(&mut self, name: &str, now: Duration) {
        self.removals.entry(name.to_owned()).or_insert(Removal {
            due: now,
            attempts: 0,
            is_running: false,
        });
    }

    /// Notes that an instance does not exist any more.
    fn delete(&mut self, name: &str) {
        if let Some(instance) = self.instances.get_mut(name) {
            instance.state = State::Deleted;
        }
    }
}
