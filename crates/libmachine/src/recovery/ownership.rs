//! What the store's machines own, and where to look for it: each machine with its journal, by its configuration or, if
//! that is broken, by its journal alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use machine_driver::{CloudKind, Driver, DriverKind, LeftBehind};
use machine_ops::{Entry, Intent, Phase, Scope};
use machine_store::{HostOptions, MachineRecord};
use machine_types::MachineName;
use serde_json::Value;

use crate::recovery::rollback::resources;
use crate::{Error, Library};

/// A machine of the store, with its journal.
pub(crate) struct Opened {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) entries: Vec<Entry>,
}

/// A place to query, and the driver that can remove what is found there.
pub(crate) struct Place {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) scope: Scope,
    /// A short name of the place.
    pub(crate) name: String,
}

/// Opens the driver of a machine. If its configuration names an unknown driver, uses its journal. Returns none if the
/// journal names no other driver either: the machine's resources then carry no tag of this program.
pub(crate) async fn driver_of(
    library: &Library,
    name: &str,
) -> Result<Option<Box<dyn Driver>>, Error> {
    // An unreadable machine may own anything: nothing is pruned while it exists.
    match library.open(name).await {
        Ok(machine) => Ok(Some(machine.driver)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => {
            let name: MachineName = name.parse()?;
            let record = match (record_by_journal(library, &name), error) {
                (Some(record), _) => record,
                (None, Error::StoredDriver { .. }) => return Ok(None),
                (None, error) => return Err(error),
            };
            match library.open_record(name, record) {
                Ok(machine) => Ok(Some(machine.driver)),
                Err(Error::StoredDriver { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}

/// Builds a record from a machine's journal if its configuration is broken. An undo needs only the place of its
/// resources. Credentials then come from the environment.
pub(crate) fn record_by_journal(library: &Library, name: &MachineName) -> Option<MachineRecord> {
    let intents = intents(library.store.entries(name).ok()?);
    record_of(library, name, &intents)
}

/// Builds a record from journal entries. The driver of the first entry loads the place. If this binary does not include
/// the driver, the record has only its name.
pub(crate) fn record_of(
    library: &Library,
    name: &MachineName,
    intents: &[Intent],
) -> Option<MachineRecord> {
    let Intent { driver, scope, .. } = intents.first()?;
    let wrote_them = |kind: &&Arc<dyn DriverKind>| match driver.as_str() {
        "" => kind.cloud().is_some_and(CloudKind::owns_unnamed_entries),
        driver => kind.name() == driver,
    };
    let (driver, saved) = match library.kinds.iter().find(wrote_them) {
        Some(kind) => (kind.name(), kind.cloud()?.saved_at(name, scope)),
        None => (driver.as_str(), Value::Null),
    };
    let options = HostOptions::default();
    Some(MachineRecord::new(name, driver, saved, options))
}

/// Returns the intents of a journal.
pub(crate) fn intents(entries: Vec<Entry>) -> Vec<Intent> {
    let phases = entries.into_iter().map(|entry| entry.phase);
    phases
        .filter_map(|phase| match phase {
            Phase::Intent { intent } => Some(intent),
            _ => None,
        })
        .collect()
}

/// Resources that belong to machines of the store.
#[derive(Default)]
pub(crate) struct Owned {
    /// IDs and keys of all resources that the machines made.
    made: HashSet<String>,
    /// The machine IDs in the tags of their resources.
    ids: HashSet<String>,
}

impl Owned {
    pub(crate) fn add(&mut self, machine: &Opened) {
        let Opened { driver, entries } = machine;
        let made = resources(&**driver, entries).into_iter();
        let keys = made.flat_map(|resource| resource.id.into_iter().chain([resource.intent.key]));
        // Launches of the Go binary have no token.
        self.made.extend(keys.filter(|key| !key.is_empty()));
        self.ids.extend(driver.owner_ids(entries));
    }

    /// Returns whether a resource belongs to one of the machines, by its record or by the machine's ID in a tag.
    pub(crate) fn has(&self, item: &LeftBehind) -> bool {
        let resource = &item.resource;
        self.made.contains(&resource.intent.key)
            || resource
                .id
                .as_ref()
                .is_some_and(|id| self.made.contains(id))
            || item
                .owner_id
                .as_ref()
                .is_some_and(|id| self.ids.contains(id))
    }
}

/// Removes duplicate places.
pub(crate) fn distinct(all: impl IntoIterator<Item = Opened>) -> Vec<Place> {
    let mut known = HashSet::new();
    let places = all.into_iter().filter_map(|Opened { driver, entries }| {
        let cloud = driver.cloud()?;
        let tag = cloud.owner_tag()?;
        let scope = cloud.scope(&entries);
        let name = cloud.place(&scope);
        let is_new = known.insert((driver.name(), scope.clone(), tag));
        is_new.then_some(Place {
            driver,
            scope,
            name,
        })
    });
    places.collect()
}

pub(crate) fn age(now: SystemTime, created: u64) -> Duration {
    let created = UNIX_EPOCH + Duration::from_millis(created);
    now.duration_since(created).unwrap_or_default()
}
