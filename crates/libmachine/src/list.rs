//! `ls`: every machine of the store, its state, and whether its engine answers.
//!
//! One call to the cloud for all machines of a place, one connection to each engine; a machine
//! that is broken or slow is a line of its own and holds up no other.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::iter;
use machine_driver::{Cloud, DriverError, Route, Status};
use machine_ops::Event;
use machine_store::MachineRecord;
use machine_types::{MachineState, one_line};

use crate::access::address::take_address;
use crate::access::connect::engine_version;
use crate::half_made::HalfMade;
use crate::half_made::half_made;
use crate::machine::{Machine, is_gone};
use crate::{Error, Library};

/// A machine of the store, read once for filters and listing: opened, or the reason why it cannot be.
pub enum StoredMachine {
    /// Its record and its driver.
    Opened(Box<Machine>),
    /// A machine of a driver that this binary does not have, or one with a broken configuration.
    Unopened {
        /// The machine's name: its directory.
        name: String,
        /// Its record, where `config.json` can be read.
        record: Option<Box<MachineRecord>>,
        /// The reason.
        error: Error,
    },
}

impl StoredMachine {
    /// Returns its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Opened(machine) => machine.name.as_str(),
            Self::Unopened { name, .. } => name,
        }
    }

    /// Returns its record, where `config.json` can be read.
    pub fn record(&self) -> Option<&MachineRecord> {
        match self {
            Self::Opened(machine) => Some(&machine.record),
            Self::Unopened { record, .. } => record.as_deref(),
        }
    }
}

/// How to list machines.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// How long a machine may take to answer.
    pub timeout: Duration,
    /// How many machines are connected to at once, a descriptor for each: the others wait until it is their turn.
    pub at_once: usize,
    /// `DOCKER_HOST`, which makes one of them the active one.
    pub docker_host: Option<String>,
}

/// Which machine the shell's environment points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// Cannot be told: the machine's configuration is broken.
    Unknown,
    /// Another one, or none.
    No,
    /// Its engine.
    Host,
    /// The swarm that it is the master of.
    Swarm,
}

/// A line of `ls`.
#[derive(Debug, Clone)]
pub struct ListItem {
    /// The machine's name: its directory.
    pub name: String,
    /// Whether it is the active one.
    pub active: Active,
    /// The driver's name; `not found` for a broken machine, `not-found` for an unknown driver.
    pub driver: String,
    /// What it is doing.
    pub state: MachineState,
    /// `DOCKER_HOST` for it, where it runs.
    pub url: String,
    /// Its record; `None` for a machine that is broken, or did not answer in time.
    pub record: Option<MachineRecord>,
    /// The name of the master of its swarm, where the store knows it.
    pub swarm_master: Option<String>,
    /// The engine's version without a `v`; `None`: unknown.
    pub docker: Option<String>,
    /// Whether the version was asked for at all.
    pub broken: bool,
    /// What is wrong, one line; empty: nothing.
    pub error: String,
    /// How long it took to find all this out.
    pub response_time: Duration,
}

/// Machines whose states one call tells.
struct Group<'a> {
    kind: &'static str,
    route: Route,
    /// One of them, which asks for all.
    cloud: &'a dyn Cloud,
    /// Their indices and their ids.
    members: Vec<(usize, String)>,
}

/// Why a machine's state is not known, or that it is no more.
pub(crate) struct NoState {
    /// One line.
    pub(crate) text: String,
    /// Whether the machine has ended, or is not there.
    pub(crate) is_gone: bool,
}

impl From<DriverError> for NoState {
    fn from(error: DriverError) -> Self {
        Self {
            is_gone: is_gone(&error),
            text: one_line(error),
        }
    }
}

impl Library {
    /// Reads all machines, sorted by byte. Makes no network call.
    ///
    /// # Errors
    /// Only where the store itself cannot be read.
    pub async fn machines(&self) -> Result<Vec<StoredMachine>, Error> {
        let store_id = self.store_id();
        let mut machines = Vec::new();
        for name in self.store.names()? {
            let unopened = |record, error| StoredMachine::Unopened {
                name: name.to_string(),
                record,
                error,
            };
            machines.push(match self.record(name.as_str()).await {
                Err(error) => unopened(None, error),
                Ok(record) => match self.load_driver(&name, &record, store_id.clone()) {
                    Err(error) => unopened(Some(Box::new(record)), error),
                    Ok(driver) => StoredMachine::Opened(Box::new(Machine {
                        name,
                        record,
                        driver,
                    })),
                },
            });
        }
        Ok(machines)
    }
}

/// Lists machines, in their order.
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
    // Without any time nobody is asked.
    let mut states = match options.timeout.is_zero() {
        true => BTreeMap::new(),
        false => states(library, &opened, options.timeout).await,
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
            let state = states.remove(&at).map(|status| status.map(|is| is.state));
            let state = state.unwrap_or(Ok(MachineState::Timeout));
            let masters = &masters;
            async move {
                let item = item(library, machine, state, masters, options, looked_up).await;
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

/// Tells how many machines there are in each state, where all were asked.
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

/// Asks for all states, by the machines' indices: each route of a cloud once for all of its machines, and
/// each other machine for itself, all at the same time.
pub(crate) async fn states(
    library: &Library,
    machines: &[Machine],
    timeout: Duration,
) -> BTreeMap<usize, Result<Status, NoState>> {
    let cx = &library.context().for_reading();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut single = Vec::new();
    for (index, machine) in machines.iter().enumerate() {
        let driver = &*machine.driver;
        let asked = driver.cloud().and_then(|cloud| Some((cloud, cloud.id()?)));
        let Some((cloud, id)) = asked else {
            single.push((index, driver));
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
        // A place that does not answer in time leaves all its machines at `Timeout`.
        let asked = tokio::time::timeout(timeout, group.cloud.states(&ids, cx));
        let states = asked.await.unwrap_or_default();
        indices.into_iter().zip(states).collect::<Vec<_>>()
    });
    let apart = single.into_iter().map(|(index, driver)| async move {
        let state = tokio::time::timeout(timeout, driver.state(cx)).await;
        state.ok().map(|state| (index, state))
    });
    let (together, apart) = tokio::join!(join_all(together), join_all(apart));
    let states = together.into_iter().flatten();
    states
        .chain(apart.into_iter().flatten())
        .map(|(index, state)| (index, state.map_err(NoState::from)))
        .collect()
}

async fn item(
    library: &Library,
    machine: Machine,
    state: Result<MachineState, NoState>,
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
    };
    match state {
        Ok(state) => item.state = state,
        Err(why) if why.is_gone => {
            item.error = format!("{}: docker-machine rm {}", why.text, machine.name);
        }
        Err(why) => item.error = why.text,
    }
    if item.state == MachineState::Timeout {
        return timed_out(item, options.timeout);
    }
    let half_made = match item.state {
        MachineState::Running | MachineState::Starting => half_made(library, &machine),
        _ => None,
    };
    // A machine that is starting is young, and nothing is wrong with it.
    let is_young = item.state == MachineState::Starting && half_made != Some(HalfMade::Interrupted);
    if let Some(half_made) = half_made.as_ref().filter(|_| !is_young) {
        // The sentence is the Go binary's, which asks an engine that is not there yet.
        let text = half_made.text(machine.name.as_str());
        item.error = format!("Unable to query docker version: {text}");
    }
    if item.state == MachineState::Running {
        item.url = machine.driver.docker_host().unwrap_or_default();
        item.active = active(&machine, &item.url, options.docker_host.as_deref());
    }
    if item.state == MachineState::Running && half_made.is_none() {
        let left = options.timeout.saturating_sub(looked_up);
        // The connection's own limit must not end it first: that would be another story.
        let asked = engine_version(library, &machine, left.saturating_mul(2));
        match tokio::time::timeout(left, asked).await {
            Ok(Ok(version)) => item.docker = Some(version),
            Ok(Err(error)) => item.error = one_line(error),
            Err(_) => return timed_out(item, options.timeout),
        }
    }
    item.response_time = looked_up + library.ambient.monotonic().saturating_sub(begun);
    item.record = Some(machine.record);
    item
}

/// Makes the line of a machine that cannot be opened.
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
    }
}

/// Makes the line of a machine that did not answer in time: name, driver and state only.
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
