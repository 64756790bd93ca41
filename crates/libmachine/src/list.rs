//! `ls`: lists every machine of the store, its state, and whether its engine answers.
//!
//! Makes one cloud call for all machines of a place, and one connection to each engine. A broken or slow machine gets a
//! line of its own and delays no other.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::iter;
use machine_driver::{Cloud, CloudKind, DriverError, DriverErrorKind, Facts, Route, Status};
use machine_ops::{Cx, Event, JournalError, open_resources};
use machine_store::MachineRecord;
use machine_types::{MachineName, MachineState, one_line};

use crate::access::address::take_address;
use crate::access::connect::{engine_version, in_place};
use crate::half_made::HalfMade;
use crate::half_made::half_made;
use crate::machine::{Machine, is_gone};
use crate::{Error, Library};

/// A machine of the store, read once for filters and listing: opened, or with the error.
pub enum StoredMachine {
    /// Its record and its driver.
    Opened(Box<Machine>),
    /// A machine with an unknown driver or a broken configuration.
    Unopened {
        /// The machine's name: the name of its directory.
        name: String,
        /// Its record, if `config.json` can be read.
        record: Option<Box<MachineRecord>>,
        /// The reason.
        error: Error,
    },
}

impl StoredMachine {
    /// Returns the name.
    pub fn name(&self) -> &str {
        match self {
            Self::Opened(machine) => machine.name.as_str(),
            Self::Unopened { name, .. } => name,
        }
    }

    /// Returns the record, if `config.json` can be read.
    pub fn record(&self) -> Option<&MachineRecord> {
        match self {
            Self::Opened(machine) => Some(&machine.record),
            Self::Unopened { record, .. } => record.as_deref(),
        }
    }
}

/// Options of the listing.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// Timeout for each machine.
    pub timeout: Duration,
    /// Maximum number of parallel connections, each with one descriptor. Further machines wait.
    pub at_once: usize,
    /// `DOCKER_HOST`, which determines the active machine.
    pub docker_host: Option<String>,
}

/// Whether the shell's environment points at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// Unknown: the machine's configuration is broken.
    Unknown,
    /// It points at another machine, or at none.
    No,
    /// It points at the machine's engine.
    Host,
    /// It points at the swarm whose master is the machine.
    Swarm,
}

/// One line of `ls`.
#[derive(Debug, Clone)]
pub struct ListItem {
    /// The machine's name: the name of its directory.
    pub name: String,
    /// Whether the machine is the active one.
    pub active: Active,
    /// The driver's name; `not found` for a broken machine, `not-found` for an unknown driver.
    pub driver: String,
    /// Its state.
    pub state: MachineState,
    /// `DOCKER_HOST` for the machine, if it runs.
    pub url: String,
    /// Its record; `None` if the machine is broken or timed out.
    pub record: Option<MachineRecord>,
    /// The name of its swarm's master, if that is in the store.
    pub swarm_master: Option<String>,
    /// The engine's version without a `v`; `None` if unknown.
    pub docker: Option<String>,
    /// Whether the version was queried.
    pub broken: bool,
    /// The error in one line; empty if there is none.
    pub error: String,
    /// Duration of the queries.
    pub response_time: Duration,
    /// The ID of its instance; empty if it has none.
    pub instance_id: String,
    /// What its cloud reports about it.
    pub facts: Facts,
    /// Time since its creation, if known.
    pub age: Option<Duration>,
    /// Whether the state says nothing about the machine: its cloud could not be queried.
    pub is_unknown: bool,
}

/// Machines whose states one call returns.
struct Group<'a> {
    kind: &'static str,
    route: Route,
    /// The driver of one of them, which makes the call.
    cloud: &'a dyn Cloud,
    /// Their indices and IDs.
    members: Vec<(usize, String)>,
}

/// Why a machine's state is unknown, or that the machine no longer exists.
pub(crate) struct NoState {
    /// The reason in one line.
    pub(crate) text: String,
    /// Whether the machine terminated or does not exist.
    pub(crate) is_gone: bool,
    /// Whether the cloud does not know the machine. A new machine may still appear.
    pub(crate) is_missing: bool,
}

impl From<DriverError> for NoState {
    fn from(error: DriverError) -> Self {
        Self {
            is_gone: is_gone(&error),
            is_missing: error.kind == DriverErrorKind::NotFound,
            text: one_line(error),
        }
    }
}

/// Maximum number of machines that are read at once.
const READ_AT_ONCE: usize = 256;

impl Library {
    /// Reads all machines, sorted by byte. Makes no network call.
    ///
    /// # Errors
    /// Fails only if the store itself cannot be read.
    pub async fn machines(&self) -> Result<Vec<StoredMachine>, Error> {
        let store_id = &self.store_id();
        let read = |name: MachineName| async move {
            let unopened = |record, error| StoredMachine::Unopened {
                name: name.to_string(),
                record,
                error,
            };
            match self.record(name.as_str()).await {
                Err(error) => unopened(None, error),
                Ok(record) => match self.load_driver(&name, &record, store_id.clone()) {
                    Err(error) => unopened(Some(Box::new(record)), error),
                    Ok(driver) => StoredMachine::Opened(Box::new(Machine {
                        name,
                        record,
                        driver,
                    })),
                },
            }
        };
        // Each machine without a configuration is waited for a moment.
        let machines = iter(self.store.names()?.into_iter().map(read));
        Ok(machines.buffered(READ_AT_ONCE).collect().await)
    }
}

/// Lists the given machines in their order.
pub async fn list(
    library: &Library,
    machines: Vec<StoredMachine>,
    options: &ListOptions,
) -> Vec<ListItem> {
    let mut items: Vec<Option<ListItem>> = Vec::with_capacity(machines.len());
    let (mut opened, mut places): (Vec<Machine>, Vec<usize>) = Default::default();
    for (index, machine) in machines.into_iter().enumerate() {
        match machine {
            StoredMachine::Opened(machine) => {
                items.push(None);
                opened.push(*machine);
                places.push(index);
            }
            StoredMachine::Unopened {
                name,
                record,
                error,
            } => items.push(Some(unopened(name, record, &error))),
        }
    }
    let masters = swarm_masters(&opened);
    let begun = library.ambient.monotonic();
    // With a timeout of zero, makes no query.
    let mut states = match options.timeout.is_zero() {
        true => BTreeMap::new(),
        false => states(library, &opened, Query::Ids, options.timeout).await,
    };
    let cx = &library.context();
    for (at, machine) in opened.iter_mut().enumerate() {
        if let Some(Ok(status)) = states.get(&at) {
            take_address(library, machine, status, cx);
        }
    }
    let looked_up = library.ambient.monotonic().saturating_sub(begun);
    let lines = opened
        .into_iter()
        .zip(places)
        .enumerate()
        .map(|(at, (machine, index))| {
            let status = states.remove(&at);
            let status = status.unwrap_or(Ok(MachineState::Timeout.into()));
            let masters = &masters;
            async move {
                let item = item(library, machine, status, masters, options, looked_up).await;
                (index, item)
            }
        });
    let lines: Vec<(usize, ListItem)> = iter(lines)
        .buffer_unordered(options.at_once.max(1))
        .collect()
        .await;
    for (index, item) in lines {
        items[index] = Some(item);
    }
    let items: Vec<ListItem> = items.into_iter().flatten().collect();
    count(library, &items);
    items
}

/// Counts the machines in each state, if all were queried.
fn count(library: &Library, items: &[ListItem]) {
    if library.names().map_or(0, |names| names.len()) != items.len() {
        return;
    }
    let none = MachineState::ALL.iter().map(|state| (state.to_string(), 0));
    let mut counted: BTreeMap<String, usize> = none.collect();
    for item in items {
        *counted.entry(item.state.to_string()).or_default() += 1;
    }
    library.events.emit(Event::Counted(counted));
}

/// How to query the states of machines of a cloud.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    /// By their IDs.
    Ids,
    /// By the tag of their store; by ID for those that the result lacks.
    Store,
}

/// Queries all states, by the machines' indices. Queries each cloud once for all of its machines, and each other
/// machine separately, all in parallel.
pub(crate) async fn states(
    library: &Library,
    machines: &[Machine],
    query: Query,
    timeout: Duration,
) -> BTreeMap<usize, Result<Status, NoState>> {
    let cx = &library.context().for_reading();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut single = Vec::new();
    for (index, machine) in machines.iter().enumerate() {
        let driver = &*machine.driver;
        let asked = driver.cloud().and_then(|cloud| Some((cloud, cloud.id()?)));
        let Some((cloud, id)) = asked else {
            single.push((index, machine));
            continue;
        };
        let (kind, route) = (driver.name(), cloud.route());
        let same = |group: &&mut Group<'_>| group.kind == kind && group.route == route;
        match groups.iter_mut().find(same) {
            Some(group) => group.members.push((index, id)),
            None => groups.push(Group {
                kind,
                route,
                cloud,
                members: vec![(index, id)],
            }),
        }
    }
    let together = groups.iter().map(|group| async move {
        let (indices, ids): (Vec<usize>, Vec<String>) = group.members.iter().cloned().unzip();
        // If a cloud times out, all its machines keep the state `Timeout`.
        let asked = tokio::time::timeout(timeout, states_of(group.cloud, &ids, query, cx));
        let states = asked.await.unwrap_or_default();
        indices.into_iter().zip(states).collect::<Vec<_>>()
    });
    let apart = single.into_iter().map(|(index, machine)| async move {
        let cx = library.context_about(&machine.name).for_reading();
        let state = tokio::time::timeout(timeout, machine.driver.state(&cx)).await;
        state.ok().map(|state| (index, state))
    });
    let (together, apart) = tokio::join!(join_all(together), join_all(apart));
    let states = together.into_iter().flatten();
    states
        .chain(apart.into_iter().flatten())
        .map(|(index, state)| (index, state.map_err(NoState::from)))
        .map(|(index, state)| match state {
            Err(why) if why.is_missing && query == Query::Ids => {
                let state = match may_be_unlisted(library, &machines[index]) {
                    Ok(true) => Ok(MachineState::Starting.into()),
                    Ok(false) => Err(why),
                    Err(unreadable) => Err(NoState {
                        text: one_line(unreadable),
                        is_gone: false,
                        is_missing: false,
                    }),
                };
                (index, state)
            }
            state => (index, state),
        })
        .collect()
}

/// Returns whether a cloud may not list a machine yet: its journal has a new resource.
///
/// # Errors
/// The journal is unreadable.
fn may_be_unlisted(library: &Library, machine: &Machine) -> Result<bool, JournalError> {
    let entries = library.store.entries(&machine.name)?;
    let kind = library.kind(machine.driver.name()).ok();
    let cloud = kind.and_then(|kind| kind.cloud());
    let window = cloud.map_or(Duration::ZERO, CloudKind::consistency_window);
    let resources = open_resources(&entries);
    let newest = resources.iter().map(|resource| resource.at).max();
    let now = library.ambient.now().duration_since(SystemTime::UNIX_EPOCH);
    let age = |at| {
        now.unwrap_or_default()
            .saturating_sub(Duration::from_millis(at))
    };
    Ok(newest.is_some_and(|at| age(at) < window))
}

/// Returns the states of the machines of a cloud in the order of their IDs.
async fn states_of(
    cloud: &dyn Cloud,
    ids: &[String],
    query: Query,
    cx: &Cx,
) -> Vec<Result<Status, DriverError>> {
    if query == Query::Ids {
        return cloud.states(ids, cx).await;
    }
    let mut known = match cloud.states_of_store(cx).await {
        Ok(known) => known,
        Err(error) => {
            let text = one_line(error);
            let unknown = |_| {
                let error = std::io::Error::other(text.clone());
                Err(DriverError::new(DriverErrorKind::Unavailable, error))
            };
            return ids.iter().map(unknown).collect();
        }
    };
    let missing: Vec<String> = ids
        .iter()
        .filter(|id| !known.contains_key(*id))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let states = cloud.states(&missing, cx).await;
        known.extend(missing.into_iter().zip(states));
    }
    ids.iter().filter_map(|id| known.remove(id)).collect()
}

async fn item(
    library: &Library,
    machine: Machine,
    status: Result<Status, NoState>,
    masters: &BTreeMap<String, String>,
    options: &ListOptions,
    looked_up: Duration,
) -> ListItem {
    let begun = library.ambient.monotonic();
    let swarm = &machine.record.host_options.swarm_options;
    let mut item = ListItem {
        name: machine.name.to_string(),
        active: Active::No,
        driver: machine.driver.name().to_owned(),
        state: MachineState::Error,
        url: String::new(),
        record: None,
        swarm_master: masters.get(&swarm.discovery).cloned(),
        docker: None,
        broken: false,
        error: String::new(),
        response_time: Duration::ZERO,
        instance_id: machine
            .driver
            .cloud()
            .and_then(|cloud| cloud.id())
            .unwrap_or_default(),
        facts: Facts::default(),
        age: None,
        is_unknown: false,
    };
    match status {
        Ok(status) => {
            item.state = status.state;
            item.facts = status.facts.unwrap_or_default();
        }
        Err(why) if why.is_gone => {
            item.error = format!("{}: docker-machine rm {}", why.text, machine.name);
        }
        Err(why) => {
            item.error = why.text;
            item.is_unknown = true;
        }
    }
    item.age = age(library, &machine, &item.facts);
    if item.state == MachineState::Timeout {
        item.is_unknown = true;
        return timed_out(item, options.timeout);
    }
    let half_made = match item.state {
        MachineState::Running | MachineState::Starting => half_made(library, &machine),
        // A host of the user's whose engine does not answer counts as stopped.
        MachineState::Stopped if machine.is_of_the_user() => half_made(library, &machine),
        // There is no instance, and none is on its way.
        MachineState::Error if item.error.is_empty() => half_made(library, &machine),
        _ => None,
    };
    // A machine that is starting is new, which is not an error.
    let is_young = item.state == MachineState::Starting && half_made != Some(HalfMade::Interrupted);
    if let Some(half_made) = half_made.as_ref().filter(|_| !is_young) {
        // The sentence is the Go binary's, which queries an engine that does not exist yet.
        let text = half_made.text(machine.name.as_str());
        item.error = match item.state {
            MachineState::Stopped | MachineState::Error => text,
            _ => format!("Unable to query docker version: {text}"),
        };
    }
    let has_tls = machine.has_tls().is_ok();
    if item.state == MachineState::Running && has_tls {
        item.url = machine.driver.docker_host().unwrap_or_default();
        item.active = active(&machine, &item.url, options.docker_host.as_deref());
    }
    if item.state == MachineState::Running && half_made.is_none() && has_tls {
        let left = options.timeout.saturating_sub(looked_up);
        // The connection's own timeout must not fire first: it would report another error.
        let asked = engine_version(library, &machine, left.saturating_mul(2));
        match tokio::time::timeout(left, asked).await {
            Ok(Ok(version)) => item.docker = Some(version),
            // The cloud has just told its address.
            Ok(Err(error)) => item.error = one_line(in_place(&machine.name, error)),
            Err(_) => return timed_out(item, options.timeout),
        }
    }
    item.response_time = looked_up + library.ambient.monotonic().saturating_sub(begun);
    item.record = Some(machine.record);
    item
}

/// Returns the time since a machine was created: by its cloud, or by its journal if the cloud no longer lists it.
fn age(library: &Library, machine: &Machine, facts: &Facts) -> Option<Duration> {
    machine.driver.cloud()?;
    let begun = || Some(library.store.entries(&machine.name).ok()?.first()?.at);
    let created = Duration::from_millis(facts.created.or_else(begun)?);
    let now = library.ambient.now().duration_since(SystemTime::UNIX_EPOCH);
    Some(now.ok()?.saturating_sub(created))
}

/// Returns the line of a machine that cannot be opened.
fn unopened(name: String, record: Option<Box<MachineRecord>>, error: &Error) -> ListItem {
    let (driver, active, broken) = match error {
        Error::StoredDriver { .. } => ("not-found", Active::No, false),
        _ => ("not found", Active::Unknown, true),
    };
    ListItem {
        name,
        active,
        driver: driver.to_owned(),
        state: MachineState::Error,
        url: String::new(),
        record: record.map(|record| *record),
        swarm_master: None,
        docker: None,
        broken,
        error: one_line(error),
        response_time: Duration::ZERO,
        instance_id: String::new(),
        facts: Facts::default(),
        age: None,
        is_unknown: true,
    }
}

/// Returns the line of a machine that timed out: only name, driver and state.
fn timed_out(item: ListItem, timeout: Duration) -> ListItem {
    ListItem {
        active: Active::No,
        state: MachineState::Timeout,
        url: String::new(),
        record: None,
        swarm_master: None,
        docker: None,
        error: String::new(),
        response_time: timeout,
        ..item
    }
}

/// Maps each swarm's discovery to the name of its master.
fn swarm_masters(machines: &[Machine]) -> BTreeMap<String, String> {
    machines
        .iter()
        .filter(|machine| machine.record.host_options.swarm_options.master)
        .map(|machine| {
            let swarm = &machine.record.host_options.swarm_options;
            (swarm.discovery.clone(), machine.name.to_string())
        })
        .collect()
}

fn active(machine: &Machine, url: &str, docker_host: Option<&str>) -> Active {
    let Some(docker_host) = docker_host.filter(|host| !host.is_empty()) else {
        return Active::No;
    };
    if url == docker_host {
        return Active::Host;
    }
    match machine.swarm_url() {
        Some(url) if url == docker_host => Active::Swarm,
        _ => Active::No,
    }
}
