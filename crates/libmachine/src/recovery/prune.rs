//! `prune`: removes cloud resources that no machine of the store owns.
//!
//! Finds such resources by their tags, in every place of a machine or a tombstone of the store. Changes nothing without
//! the tags. Refuses to run if ownership is uncertain: for a store without an ID, one whose disk seems to be unmounted,
//! and one that was copied or moved.
//!
//! A resource with the ID of an existing machine belongs to that machine until its `rm`, whatever its origin: a root
//! volume that was detached for a rescue, or an instance that was restored from a backup with its tags.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use machine_driver::{Driver, LeftBehind, Options, OwnedBy};
use machine_ops::Journal as _;
use machine_store::{Sighting, Sightings, Store, StoreError, StoreId, SwarmOptions, Unconfirmed};
use machine_types::{MachineName, printable};

use crate::recovery::ownership::{Opened, Owned, Place, age, distinct, driver_of};
use crate::recovery::rollback::{left, undo};
use crate::recovery::tombstones::{open_tombstone, settle_tombstones, unopened};
use crate::{Error, Left, Library};
use machine_types::one_line;

/// Options of `prune`.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// Whether to remove what is found; otherwise only lists it.
    pub force: bool,
    /// Minimum unused time of a resource. Resources of a running create are younger.
    pub older_than: Duration,
    /// Whether to include the resources of all stores, such as those of removed managers. Requires
    /// [`tags`](Self::tags).
    pub all_stores: bool,
    /// User tags that a resource must carry in addition to docker-machine's. Values are literal.
    pub tags: Vec<(String, String)>,
    /// A place to search in addition to those of the store's machines: a driver and its flags.
    pub place: Option<(String, Options)>,
}

/// Result of `prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Resources that no machine of the store owns.
    pub found: Vec<Found>,
    /// Resources that could not be removed.
    pub left: Vec<Left>,
    /// Number of removed resources.
    pub removed: usize,
    /// Number of resources skipped because they have not been unused for long enough.
    pub young: usize,
    /// Why nothing would be removed: the store was made elsewhere, and the resources may belong to another store.
    pub unconfirmed: Option<Unconfirmed>,
}

/// The user's confirmation for a store that was made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOrigin {
    /// It was moved and no longer exists at the old place.
    Moved,
    /// It is a copy; the original store stays in use.
    Copied,
}

/// A resource that no machine of the store owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `instance i-0abc in us-east-1`.
    pub what: String,
    /// Its name in the cloud's console.
    pub name: String,
    /// The machine that it was made for, according to its tags.
    pub machine: String,
    /// Its state, as named by the cloud.
    pub state: String,
    /// How long it has been unused: since its last sign of use, or since it was first seen unused.
    pub age: Duration,
    /// The reason that it counts as left behind.
    pub why: String,
}

/// Lists resources that no machine of the store owns; with `force`, removes them. A place whose query fails is reported
/// as left behind; the others are still queried.
///
/// # Errors
/// Returns [`Error::Prune`] if ownership is uncertain, or [`Error::Configuration`] for invalid flags of the place.
pub async fn prune(library: &Library, options: &PruneOptions) -> Result<Pruned, Error> {
    library.context().phase("looking for what no machine owns");
    let Some(identity) = library.store.identity()? else {
        return Err(Error::Prune(format!(
            "{} has no id, so nothing can carry its tags (is the disk mounted?)",
            library.settings.store.display()
        )));
    };
    if options.all_stores && options.tags.is_empty() {
        return Err(Error::Prune(
            "the machines of other stores are at stake: say by --tag KEY=VALUE which are meant"
                .into(),
        ));
    }
    let mut pruned = Pruned::default();
    let mut store_ids = identity.own;
    if let Some(unconfirmed) = identity.unconfirmed {
        if options.force {
            return Err(Error::StoreMadeElsewhere(Box::new(unconfirmed)));
        }
        store_ids.extend(unconfirmed.ids.iter().cloned());
        pruned.unconfirmed = Some(unconfirmed);
    } else if options.force && !identity.is_bound && !on_record(library)?.is_empty() {
        // With the ID, a copy of the store can be detected from now on. A read-only store is pruned without one.
        if let Err(error) = library.store.ensure_id(&library.context()).await {
            library.context().debug(one_line(error));
        }
    }
    // Checked before tombstones are processed: a store that still had one was mounted.
    let is_bare = on_record(library)?.is_empty() && library.store.tombstones()?.is_empty();
    if options.force {
        pruned.left = settle_tombstones(library).await;
    }
    let places = places(library, options, is_bare, &mut pruned.left).await?;
    let cx = library.context();
    let mut found = Vec::new();
    let owners: Vec<Option<&str>> = match options.all_stores {
        true => vec![None],
        false => store_ids.iter().map(|id| Some(id.as_str())).collect(),
    };
    let mut sightings = Seen::new(library.store.sightings(), library.ambient.now());
    for place in &places {
        for store in &owners {
            let owner = OwnedBy {
                store: *store,
                tags: &options.tags,
                scope: &place.scope,
            };
            match place.driver.left_behind(owner, &cx).await {
                Ok(items) => {
                    let since = sightings.since(place, &owner, &items);
                    let items = items.into_iter().zip(since);
                    found.extend(items.map(|(item, since)| (place, item, since)));
                }
                Err(error) => {
                    pruned.left.push(Left {
                        what: format!("whatever is in {}", place.name),
                        why: one_line(error),
                    });
                    // The result is the same for each ID.
                    break;
                }
            }
        }
    }
    if let Err(error) = sightings.keep(&library.store) {
        cx.warn(one_line(error));
    }
    // Read after the cloud queries: a create records itself before it launches, so this includes every resource that
    // was listed.
    let owned = owned(library).await?;
    let now = library.ambient.now();
    let mut seen = HashSet::new();
    for (place, item, since) in found {
        let name = place.driver.describe(&item.resource);
        if owned.has(&item) || !seen.insert(name.clone()) {
            continue;
        }
        let age = age(now, since);
        if age < options.older_than {
            pruned.young += 1;
            continue;
        }
        pruned.found.push(Found {
            what: name,
            why: why(&item, &store_ids),
            name: printable(item.name.as_bytes()),
            machine: printable(item.machine.as_bytes()),
            state: item.state,
            age,
        });
        if options.force {
            let report = undo(&*place.driver, vec![item.resource], &cx).await;
            pruned.removed += report.gone;
            pruned.left.extend(left(report));
        }
    }
    Ok(pruned)
}

/// Removes resources with the tag of this store in the place of the driver's flags, if no machine of the store owns them
/// and `is_meant` accepts the name of the machine that they were made for. Removes nothing while the store's origin is
/// unconfirmed. Returns the number of removed resources, and what could not be removed.
///
/// # Errors
/// Same as [`prune`](crate::prune).
pub async fn remove_orphans(
    library: &Library,
    driver: &str,
    flags: &Options,
    is_meant: impl Fn(&str) -> bool,
) -> Result<(usize, Vec<Left>), Error> {
    let Some(identity) = library.store.identity()? else {
        return Ok((0, Vec::new()));
    };
    if let Some(unconfirmed) = identity.unconfirmed {
        return Err(Error::StoreMadeElsewhere(Box::new(unconfirmed)));
    }
    let driver = place_of(library, driver, flags)?;
    let places = distinct([Opened {
        driver,
        entries: Vec::new(),
    }]);
    let cx = library.context();
    let (mut removed, mut unremoved) = (0, Vec::new());
    for place in &places {
        for store in &identity.own {
            let owner = OwnedBy {
                store: Some(store.as_str()),
                tags: &[],
                scope: &place.scope,
            };
            let mut found = place.driver.left_behind(owner, &cx).await?;
            // Read after the query; see `prune`.
            let owned = owned(library).await?;
            found.retain(|item| is_meant(&item.machine) && !owned.has(item));
            let lost = found.into_iter().map(|item| item.resource).collect();
            let report = undo(&*place.driver, lost, &cx).await;
            removed += report.gone;
            unremoved.extend(left(report));
        }
    }
    Ok((removed, unremoved))
}

/// Returns the driver of a place that flags name.
fn place_of(library: &Library, driver: &str, flags: &Options) -> Result<Box<dyn Driver>, Error> {
    let name: MachineName = "prune".parse()?;
    let base = library.base(&name, &SwarmOptions::default(), String::new());
    let driver = library.kind(driver)?.configure(&base, flags);
    driver.map_err(Error::Configuration)
}

/// Saves the user's confirmation for a store that was made elsewhere. Returns whether there was anything to save: a
/// store at its original place stays unchanged.
///
/// # Errors
/// Returns [`Error::Store`] if the record cannot be written.
pub async fn confirm_origin(library: &Library, origin: StoreOrigin) -> Result<bool, Error> {
    let cx = library.context();
    Ok(match origin {
        StoreOrigin::Moved => library.store.confirm_moved(&cx).await?,
        StoreOrigin::Copied => library.store.confirm_copied(&cx).await?,
    })
}

/// Returns the places to query: each place of a machine or a tombstone once, and the one that the options name. Reports
/// tombstones that cannot be read as left behind.
async fn places(
    library: &Library,
    options: &PruneOptions,
    is_bare: bool,
    left: &mut Vec<Left>,
) -> Result<Vec<Place>, Error> {
    let mut all = Vec::new();
    let (names, tombstones) = (on_record(library)?, library.store.tombstones()?);
    for name in names {
        if let Some(driver) = driver_of(library, name.as_str()).await? {
            let entries = library.store.entries(&name)?;
            all.push(Opened { driver, entries });
        }
    }
    for tombstone in tombstones {
        match open_tombstone(library, &tombstone) {
            Ok(Some(machine)) => {
                // The place of a broken tombstone is still known.
                let journal = library.store.tombstone_journal(&tombstone);
                let entries = journal.entries().unwrap_or_default();
                let driver = machine.driver;
                all.push(Opened { driver, entries });
            }
            Ok(None) => {}
            Err(error) => {
                let unopened = unopened(&tombstone, error);
                if !left.contains(&unopened) {
                    left.push(unopened);
                }
            }
        }
    }
    // An empty store with its ID is mounted, but the user has to name what to search for.
    if is_bare && !(options.all_stores && options.place.is_some()) {
        return Err(Error::Prune(format!(
            "{} has neither machines nor tombstones, so there is no place to ask (is the disk mounted?); \
             what other stores left is found by --all-stores with --tag, --driver and its flags",
            library.settings.store.display()
        )));
    }
    if let Some((driver, flags)) = &options.place {
        all.push(Opened {
            driver: place_of(library, driver, flags)?,
            entries: Vec::new(),
        });
    }
    Ok(distinct(all))
}

/// Lists every machine that has a record.
///
/// # Errors
/// Returns [`Error::Prune`] if an entry of the machines directory may be a record and cannot be read as one.
fn on_record(library: &Library) -> Result<Vec<MachineName>, Error> {
    library.store.on_record().map_err(|error| {
        let way_out = way_out_of_records(&error);
        Error::Prune(format!("{}: {way_out}", one_line(error)))
    })
}

/// Returns the resources that belong to the store's machines.
async fn owned(library: &Library) -> Result<Owned, Error> {
    let mut owned = Owned::default();
    for name in on_record(library)? {
        let Some(driver) = driver_of(library, name.as_str()).await? else {
            continue;
        };
        let entries = library.store.entries(&name)?;
        owned.add(&Opened { driver, entries });
    }
    Ok(owned)
}

/// Maximum time between two sightings: a few runs of the hourly timer. After a longer gap the resource may have been in
/// use in between.
const SIGHTED: Duration = Duration::from_secs(6 * 3600);

/// Since when resources without a sign of use have been seen.
struct Seen {
    before: Sightings,
    /// Current sightings, for the queries that succeeded.
    answered: Sightings,
    now: u64,
}

impl Seen {
    fn new(before: Sightings, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            before,
            answered: Sightings::new(),
            now: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Returns since when each resource of a result has been unused. A resource that is seen for the first time counts
    /// from now on, since its earlier idle time is unknown.
    fn since(&mut self, place: &Place, owner: &OwnedBy<'_>, items: &[LeftBehind]) -> Vec<u64> {
        let question = question(place, owner);
        let before = self.before.get(&question);
        let seen = self.answered.entry(question).or_default();
        let since = |item: &LeftBehind| {
            item.used.unwrap_or_else(|| {
                let name = place.driver.describe(&item.resource);
                let earlier = before.and_then(|before| before.get(&name)).filter(|seen| {
                    let apart = Duration::from_millis(self.now.abs_diff(seen.last));
                    apart <= SIGHTED
                });
                let first = earlier.map_or(self.now, |seen| seen.first.min(self.now));
                let sighting = Sighting {
                    first,
                    last: self.now,
                };
                seen.entry(name).or_insert(sighting).first
            })
        };
        items.iter().map(since).collect()
    }

    /// Saves the sightings. A resource that is missing from a result is in use again or gone.
    fn keep(self, store: &Store) -> Result<(), StoreError> {
        let mut after = self.before.clone();
        after.extend(self.answered);
        after.retain(|_, seen| !seen.is_empty());
        if after == self.before {
            return Ok(());
        }
        store.keep_sightings(&after)
    }
}

/// Returns a key for a query, so that a result is compared with earlier ones of the same query.
fn question(place: &Place, owner: &OwnedBy<'_>) -> String {
    let tags = owner.tags.iter();
    let tags: String = tags.map(|(key, value)| format!(" {key}={value}")).collect();
    let store = owner.store.unwrap_or("*");
    // Without the records, which may grow: the place stays the same.
    let configured = place.driver.cloud().map(|cloud| cloud.scope(&[]));
    let scope = serde_json::to_string(&configured).unwrap_or_default();
    format!("{} {scope} {store}{tags}", place.driver.name())
}

/// Returns the hint for an entry that may be a machine's record and cannot be read as one.
pub(crate) fn way_out_of_records(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unaccounted { .. } => {
            "give it back a machine's name, and docker-machine rm what is not needed; or move it out of machines/ once \
             nothing of its machine is left in the cloud"
        }
        _ => "let this user read it, or mount its disk",
    }
}

/// Returns the reason that a resource counts as left behind.
fn why(item: &LeftBehind, own: &[StoreId]) -> String {
    let start = |id: &str| printable(id.chars().take(12).collect::<String>().as_bytes());
    let whose = match (&item.owner_id, &item.store) {
        (Some(id), Some(other)) if own.iter().all(|own| own.as_str() != other) => {
            format!(
                "made for machine ID {} of store {}",
                start(id),
                start(other)
            )
        }
        (Some(id), _) => format!("no machine here has the ID {}", start(id)),
        (None, _) => "no machine here has it on record".to_owned(),
    };
    match item.used {
        Some(_) => whose,
        None => format!("{whose}; detached"),
    }
}
