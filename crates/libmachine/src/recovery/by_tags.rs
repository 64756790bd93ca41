//! Finds the resources of a machine by their tags when its local records are lost.
//!
//! The machine's configuration and its journal are missing or broken. A resource with this store's tag and the
//! machine's name is the machine's. The search covers the places of the store's other machines and those that the
//! environment names. If no tag is found, the machine stays.

use std::collections::HashSet;
use std::time::Duration;

use machine_driver::{CloudKind, LeftBehind, Options, OwnedBy};
use machine_ops::{Cx, Entry, JournalError, Phase, Resource, UndoOrder};
use machine_store::{StoreId, SwarmOptions};
use machine_types::MachineName;

use crate::machine::Machine;
use crate::recovery::ownership::{Opened, Owned, Place, age, distinct, driver_of};
use crate::recovery::rollback::{Report, undo_in_time};
use crate::{Error, Left, Library, confirmation_hint};
use machine_types::one_line;

/// Result of the search for a machine's tags.
#[derive(Default)]
pub(crate) struct Traces {
    /// Resources of the machine, each with the place whose driver can remove them.
    found: Vec<(Place, Vec<Resource>)>,
    /// Places that may have more: the query failed, or a name proves nothing.
    pub(crate) uncertain: Vec<Left>,
    /// Places without resources, and the reason.
    nothing: Vec<Left>,
}

impl Traces {
    /// Returns whether something was found and nothing is uncertain.
    pub(crate) fn are_complete(&self) -> bool {
        !self.found.is_empty() && self.uncertain.is_empty()
    }

    /// Returns whether nothing was found and nothing is uncertain.
    pub(crate) fn are_none(&self) -> bool {
        self.found.is_empty() && self.uncertain.is_empty()
    }

    /// Returns the places that were searched without a result.
    pub(crate) fn in_vain(self) -> Vec<Left> {
        self.uncertain.into_iter().chain(self.nothing).collect()
    }

    /// Undoes what was found. With `on_record`, writes it into the context's journal first.
    pub(crate) async fn undo(&mut self, on_record: bool, cx: &Cx) -> Report {
        let mut report = Report::default();
        for (place, mut resources) in std::mem::take(&mut self.found) {
            if on_record {
                let recorded = resources.into_iter().map(|found| put_on_record(found, cx));
                resources = recorded.collect();
            }
            report.add(undo_in_time(&*place.driver, resources, cx).await);
        }
        report
    }
}

/// A machine to search for.
pub(crate) struct Sought<'a> {
    pub(crate) name: &'a MachineName,
    /// Whether it belongs to a tombstone; an existing machine of that name is then another one.
    pub(crate) is_buried: bool,
    /// Its own driver, if its configuration names it.
    pub(crate) own: Option<Opened>,
    /// Places that the environment names.
    pub(crate) environment: &'a [(&'static str, Options)],
}

/// The other machines of the store.
struct Others {
    opened: Vec<Opened>,
    /// Machines whose resources are unknown.
    unread: Vec<MachineName>,
}

/// Searches by tags for a machine's resources: in the places of the other machines, those of the environment, and that
/// of its own driver. Changes nothing.
pub(crate) async fn traces(library: &Library, sought: Sought<'_>) -> Traces {
    let name = sought.name;
    match look_for(library, sought).await {
        Ok(traces) => traces,
        Err(error) => Traces {
            uncertain: vec![whatever_was_made_for(name, one_line(error))],
            ..Traces::default()
        },
    }
}

/// Undoes a machine whose journal cannot be read: the resources that its configuration names, and those found by tags.
/// Also returns what remains uncertain without the journal.
pub(crate) async fn undo_without_journal(
    library: &Library,
    machine: Machine,
    is_buried: bool,
    environment: &[(&'static str, Options)],
    broken: JournalError,
    cx: &Cx,
) -> (Report, Vec<Left>) {
    let name = &machine.name;
    let own = library.open_record(name.clone(), machine.record).ok();
    let own = own.map(|machine| Opened {
        driver: machine.driver,
        entries: Vec::new(),
    });
    let driver = machine.driver;
    // The search comes first: a new key pair indicates an instance that is not listed yet.
    let sought = Sought {
        name,
        is_buried,
        own,
        environment,
    };
    let mut traces = traces(library, sought).await;
    let mut report = undo_in_time(&*driver, driver.saved_resources(), cx).await;
    report.add(traces.undo(false, cx).await);
    let mut uncertain = traces.uncertain;
    if driver.owner_tag().is_none() {
        uncertain.push(whatever_was_made_for(name, one_line(broken)));
    }
    (report, uncertain)
}

async fn look_for(library: &Library, sought: Sought<'_>) -> Result<Traces, Error> {
    let name = sought.name;
    let but = (!sought.is_buried).then_some(name);
    let mut traces = Traces::default();
    let Some(identity) = library.store.identity()? else {
        let why = "the store has no id to look for".to_owned();
        traces.nothing.push(whatever_was_made_for(name, why));
        return Ok(traces);
    };
    if let Some(unconfirmed) = identity.unconfirmed {
        // The other store may have a machine of that name by now.
        let why = format!("{unconfirmed}: {}", confirmation_hint(&unconfirmed));
        traces.uncertain.push(whatever_was_made_for(name, why));
    }
    let opened = others(library, but).await?.opened.into_iter();
    let here = of_environment(library, name, sought.environment);
    let places = distinct(sought.own.into_iter().chain(opened).chain(here));
    if places.is_empty() {
        let why = nowhere_to_look(library);
        traces.nothing.push(whatever_was_made_for(name, why));
    }
    let mut listed = Vec::new();
    for place in places {
        let answer = ask(library, &place, &identity.own, name).await;
        listed.push((place, answer));
    }
    // Read after the cloud queries: a create records itself before it launches, so this includes every resource that
    // was listed.
    let others = others(library, but).await?;
    let mut owned = Owned::default();
    others.opened.iter().for_each(|other| owned.add(other));
    let mut seen = HashSet::new();
    for (place, answer) in listed {
        let region = &place.name;
        let mut items = match answer {
            Ok(items) => items,
            Err(error) => {
                let why = format!("{region}: {}", one_line(error));
                traces.uncertain.push(whatever_was_made_for(name, why));
                continue;
            }
        };
        items.retain(|item| is_its(item, name, &owned));
        if items.is_empty() {
            let why = format!("nothing in {region} carries this store's tag and that name");
            traces.nothing.push(whatever_was_made_for(name, why));
        }
        let window = consistency_window(library, &place);
        if may_have_more(library, &items, window) {
            let why = format!(
                "{region} has its key pair, and may not show its instance yet: try again in {} minutes",
                window.as_secs().div_ceil(60)
            );
            traces.uncertain.push(whatever_was_made_for(name, why));
            continue;
        }
        items.retain(|item| seen.insert(item.resource.id.clone()));
        // A user may have detached it for a rescue. prune removes it once it has been detached for long enough.
        let count = items.len();
        items.retain(|item| item.used.is_some());
        if items.len() < count {
            let left = count - items.len();
            library.context().warn(format!(
                "({name}) left to prune: {left} detached in {region} that it removes once seen so for two hours"
            ));
        }
        if let Some(unread) = others.unread.first() {
            let (certain, uncertain): (Vec<_>, _) = items
                .into_iter()
                .partition(|item| item.is_named_by_key_pair);
            items = certain;
            traces.uncertain.extend(uncertain.iter().map(|item| Left {
                what: place.driver.describe(&item.resource),
                why: format!(
                    "nothing but its tag Name says that it is {name}'s: it may be {unread}'s, which cannot be read"
                ),
            }));
        }
        let resources: Vec<Resource> = items.into_iter().map(|item| item.resource).collect();
        if count > 0 {
            traces.found.push((place, resources));
        }
    }
    Ok(traces)
}

/// Queries a place for all resources with this store's tag.
async fn ask(
    library: &Library,
    place: &Place,
    store_ids: &[StoreId],
    name: &MachineName,
) -> Result<Vec<LeftBehind>, Error> {
    let cx = library.context_about(name);
    let mut all = Vec::new();
    for store_id in store_ids {
        let owner = OwnedBy {
            store: Some(store_id.as_str()),
            tags: &[],
            scope: &place.scope,
        };
        all.extend(place.driver.left_behind(owner, &cx).await?);
    }
    Ok(all)
}

/// Returns the message that no place is known, with the environment variables that would name one.
fn nowhere_to_look(library: &Library) -> String {
    let place_flags = library.kinds.iter().flat_map(|kind| {
        let names = kind.cloud().map_or(&[][..], CloudKind::place_flags);
        let flags = kind.flags().into_iter();
        flags.filter(|flag| names.contains(&flag.name))
    });
    let variables: Vec<String> = place_flags
        .filter_map(|flag| Some(format!("${}", flag.env?)))
        .collect();
    let why = "the place of the machine is unknown: no other machine";
    match variables.is_empty() {
        true => why.to_owned(),
        false => format!("{why}, and neither {}", variables.join(" nor ")),
    }
}

/// Returns the period for which a place may not list a new resource.
fn consistency_window(library: &Library, place: &Place) -> Duration {
    let kind = library.kind(place.driver.name()).ok();
    let cloud = kind.and_then(|kind| kind.cloud());
    cloud.map_or(Duration::ZERO, CloudKind::consistency_window)
}

/// Returns whether only the resources that a create makes first exist, and are new.
fn may_have_more(library: &Library, items: &[LeftBehind], window: Duration) -> bool {
    let now = library.ambient.now();
    let first = |item: &LeftBehind| {
        item.resource.intent.undo == UndoOrder::First && age(now, item.created) < window
    };
    !items.is_empty() && items.iter().all(first)
}

/// Opens all machines but one, as far as possible. A machine with an unknown driver carries no tag of this program.
async fn others(library: &Library, but: Option<&MachineName>) -> Result<Others, Error> {
    let (mut opened, mut unread) = (Vec::new(), Vec::new());
    for other in library.store.on_record()? {
        if Some(&other) == but {
            continue;
        }
        let driver = driver_of(library, other.as_str()).await;
        let entries = library.store.entries(&other);
        if driver.is_err() || entries.is_err() {
            unread.push(other);
        }
        if let Ok(Some(driver)) = driver {
            let entries = entries.unwrap_or_default();
            opened.push(Opened { driver, entries });
        }
    }
    Ok(Others { opened, unread })
}

/// Returns the drivers of the places that the environment names.
fn of_environment(
    library: &Library,
    name: &MachineName,
    environment: &[(&'static str, Options)],
) -> Vec<Opened> {
    let base = library.base(name, &SwarmOptions::default(), String::new());
    environment
        .iter()
        .filter_map(|(driver, options)| library.kind(driver).ok()?.configure(&base, options).ok())
        .map(|driver| Opened {
            driver,
            entries: Vec::new(),
        })
        .collect()
}

/// Returns whether a resource belongs to the machine and to no other of the store. Its name may come from a tag that
/// users can set freely.
fn is_its(item: &LeftBehind, name: &MachineName, owned: &Owned) -> bool {
    item.machine == name.as_str() && !owned.has(item)
}

/// Writes the found resource into the journal. If the disk fails, this process keeps it in memory.
fn put_on_record(found: Resource, cx: &Cx) -> Resource {
    let step = cx.ambient.random() >> 1;
    let entry = |phase| Entry {
        step,
        name: found.name.clone(),
        at: found.at,
        phase,
    };
    let intent = found.intent.clone();
    let (id, scope) = (found.id.clone(), found.intent.scope.clone());
    for phase in [Phase::Intent { intent }, Phase::Made { id, scope }] {
        if let Err(error) = cx.journal.append(&entry(phase)) {
            cx.debug(one_line(error));
        }
    }
    Resource {
        step: Some(step),
        ..found
    }
}

fn whatever_was_made_for(name: &MachineName, why: String) -> Left {
    Left {
        what: format!("whatever was made for {name}"),
        why,
    }
}
