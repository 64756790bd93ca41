//! `prune`: what EC2 has and the store does not know.
//!
//! Finds by our tags what no machine of the store owns, in every place where a machine or a
//! tombstone of the store is. It touches nothing that does not carry the tags, and guesses nothing:
//! a store without an id, one that looks as if its disk were not mounted, and one that was copied or moved are
//! refused.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use machine_driver::{Driver, Options, OwnedBy};
use machine_ops::{Entry, Journal as _, Scope, undo_all};
use machine_types::{MachineName, SwarmOptions};

use crate::recovery::rollback::{ByDriver, describe, left, resources};
use crate::recovery::tombstones::unopened;
use crate::{Error, Left, Library};
use machine_types::one_line;

/// What `prune` was asked for.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// Whether to remove what is found; otherwise it is only listed.
    pub force: bool,
    /// How old something must be to be touched: a create that is running right now is younger.
    pub older_than: Duration,
    /// Whether the resources of every store are meant, and not of this one alone: those of managers that
    /// are gone. Wants [`tags`](Self::tags).
    pub all_stores: bool,
    /// Tags of the user's that a resource must carry besides ours.
    pub tags: Vec<(String, String)>,
    /// A place to ask where the store's machines are not: a driver and its flags.
    pub place: Option<(String, Options)>,
}

/// What `prune` found, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What no machine of the store owns.
    pub found: Vec<Found>,
    /// What could not be removed.
    pub left: Vec<Left>,
    /// How many were removed.
    pub removed: usize,
    /// Why nothing would be removed: the store was made elsewhere, and what is listed may be another store's.
    pub unconfirmed: Option<String>,
}

/// What a person says of a store that was made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOrigin {
    /// It was moved, and is at no other place any more.
    Moved,
    /// It is a copy; the store that it was copied from goes on.
    Copied,
}

/// Something that no machine of the store owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `instance i-0abc in us-east-1`.
    pub what: String,
    /// The machine that it was made for, by its tags.
    pub machine: String,
    /// Its state, in the cloud's words.
    pub state: String,
    /// When it was made, Unix time in milliseconds.
    pub created: u64,
}

/// A machine of the store, with its journal.
pub(crate) struct Opened {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) entries: Vec<Entry>,
}

/// Where to ask, and who can remove what is found there.
pub(crate) struct Place {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) scope: Scope,
}

impl Library {
    /// Lists, or with `force` removes, what no machine of the store owns. A place that cannot be asked
    /// is among what is left, and keeps no other from being asked.
    ///
    /// # Errors
    /// [`Error::Prune`] where it would have to guess; [`Error::Configuration`] for the flags of the place.
    pub async fn prune(&self, options: &PruneOptions) -> Result<Pruned, Error> {
        let Some(identity) = self.store.identity()? else {
            return Err(Error::Prune(format!(
                "{} has no id, so nothing can carry its tags (is the disk mounted?)",
                self.settings.store.display()
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
            pruned.unconfirmed = Some(unconfirmed.to_string());
            store_ids.extend(unconfirmed.ids);
        } else if options.force && !identity.is_bound {
            // From now on a copy is told from it. A store that cannot be written is pruned as it is.
            if let Err(error) = self.store.ensure_id(&self.context()).await {
                self.context().debug(one_line(error));
            }
        }
        // Looked at first: a store whose last tombstone is settled here was mounted.
        let is_bare = self.names()?.is_empty() && self.store.tombstones()?.is_empty();
        if options.force {
            pruned.left = self.settle_tombstones().await;
        }
        let places = self.places(options, is_bare, &mut pruned.left).await?;
        let cx = self.context();
        let mut found = Vec::new();
        let owners: Vec<Option<&str>> = match options.all_stores {
            true => vec![None],
            false => store_ids.iter().map(|id| Some(id.as_str())).collect(),
        };
        for place in &places {
            for store in &owners {
                let owner = OwnedBy {
                    store: *store,
                    tags: &options.tags,
                    account: place.scope.account.as_deref(),
                };
                let kind = self.kind(place.driver.name())?;
                match kind.left_behind(&*place.driver, owner, &cx).await {
                    Ok(items) => found.extend(items.into_iter().map(|item| (place, item))),
                    Err(error) => {
                        pruned.left.push(Left {
                            what: format!("whatever is in {}", place.scope.region),
                            why: one_line(error),
                        });
                        // The same answer for each id.
                        break;
                    }
                }
            }
        }
        // Read after the clouds were asked: a create puts itself on record before it launches, so what
        // has been seen of it is known here.
        let owned = self.owned().await?;
        let now = self.ambient.now();
        let mut seen = HashSet::new();
        for (place, item) in found {
            let resource = item.resource;
            let is_owned = owned.contains(&resource.intent.key)
                || resource.id.as_ref().is_some_and(|id| owned.contains(id));
            let name = describe(&resource);
            if is_owned || age(now, item.created) < options.older_than || !seen.insert(name.clone())
            {
                continue;
            }
            pruned.found.push(Found {
                what: name,
                machine: item.machine,
                state: item.state,
                created: item.created,
            });
            if options.force {
                let by_driver = ByDriver(&*place.driver);
                let report = undo_all(vec![resource], &by_driver, &cx).await;
                pruned.removed += report.gone;
                pruned.left.extend(left(report));
            }
        }
        Ok(pruned)
    }

    /// Records what a person says of a store that was made elsewhere. Returns whether there was anything to
    /// record: a store that is where it was made stays as it is.
    ///
    /// # Errors
    /// [`Error::Store`] where the record cannot be written.
    pub async fn confirm_origin(&self, origin: StoreOrigin) -> Result<bool, Error> {
        let cx = self.context();
        Ok(match origin {
            StoreOrigin::Moved => self.store.confirm_moved(&cx).await?,
            StoreOrigin::Copied => self.store.confirm_copied(&cx).await?,
        })
    }

    /// Returns where to ask: each place of a machine or a tombstone once, and the one that was named. Adds
    /// the tombstones that cannot be made out to what is left.
    async fn places(
        &self,
        options: &PruneOptions,
        is_bare: bool,
        left: &mut Vec<Left>,
    ) -> Result<Vec<Place>, Error> {
        let mut all = Vec::new();
        let (names, tombstones) = (self.names()?, self.store.tombstones()?);
        for name in names {
            if let Some(driver) = self.driver_of(&name).await? {
                let entries = self.store.entries(&name.parse()?)?;
                all.push(Opened { driver, entries });
            }
        }
        for tombstone in tombstones {
            match self.open_tombstone(&tombstone) {
                Ok(Some(machine)) => {
                    // Of a broken one the place is known all the same.
                    let journal = self.store.tombstone_journal(&tombstone);
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
        // An empty store that has its id is mounted; what is there to find has to be said, though.
        if is_bare && !(options.all_stores && options.place.is_some()) {
            return Err(Error::Prune(format!(
                "{} has neither machines nor tombstones, so there is no place to ask (is the disk mounted?); \
                 what other stores left is found by --all-stores with --tag, --driver and its flags",
                self.settings.store.display()
            )));
        }
        if let Some((driver, flags)) = &options.place {
            let name: MachineName = "prune".parse()?;
            let base = self.base(&name, &SwarmOptions::default(), String::new());
            let driver = self.kind(driver)?.configure(&base, flags);
            all.push(Opened {
                driver: driver.map_err(Error::Configuration)?,
                entries: Vec::new(),
            });
        }
        Ok(distinct(all))
    }

    /// Opens the driver of a machine; none for a driver that this binary does not have, which carries no tag of
    /// ours.
    pub(crate) async fn driver_of(&self, name: &str) -> Result<Option<Box<dyn Driver>>, Error> {
        // A machine that cannot be made out may own anything: nothing is pruned around it.
        match self.open(name).await {
            Ok(machine) => Ok(Some(machine.driver)),
            Err(Error::StoredDriver { .. } | Error::NotFound(_)) => Ok(None),
            Err(error) => {
                let name: MachineName = name.parse()?;
                let record = self.record_by_journal(&name).ok_or(error)?;
                Ok(Some(self.open_record(name, record)?.driver))
            }
        }
    }

    /// Returns the ids and keys of all that the store's machines have made.
    async fn owned(&self) -> Result<HashSet<String>, Error> {
        let mut owned = HashSet::new();
        for name in self.names()? {
            let Some(driver) = self.driver_of(&name).await? else {
                continue;
            };
            let entries = self.store.entries(&name.parse()?)?;
            owned.extend(Opened { driver, entries }.keys());
        }
        Ok(owned)
    }
}

impl Opened {
    /// Returns the ids and keys of all that the machine has made.
    pub(crate) fn keys(&self) -> Vec<String> {
        let made = resources(&*self.driver, &self.entries).into_iter();
        made.flat_map(|resource| resource.id.into_iter().chain([resource.intent.key]))
            // What the Go binary launched has no token.
            .filter(|key| !key.is_empty())
            .collect()
    }
}

/// Keeps each place once.
pub(crate) fn distinct(all: impl IntoIterator<Item = Opened>) -> Vec<Place> {
    let mut known = HashSet::new();
    let places = all.into_iter().filter_map(|Opened { driver, entries }| {
        let tag = driver.owner_tag()?;
        let mut scope = driver.scope();
        let mut accounts = resources(&*driver, &entries)
            .into_iter()
            .filter_map(|resource| resource.intent.scope.account);
        scope.account = scope.account.or_else(|| accounts.next());
        known
            .insert((scope.clone(), tag))
            .then_some(Place { driver, scope })
    });
    places.collect()
}

pub(crate) fn age(now: SystemTime, created: u64) -> Duration {
    let created = UNIX_EPOCH + Duration::from_millis(created);
    now.duration_since(created).unwrap_or_default()
}
