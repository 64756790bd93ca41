//! `prune`: what EC2 has and the store does not know.
//!
//! Finds by our tags what no machine of the store owns, in every place where a machine or a
//! tombstone of the store is. It touches nothing that does not carry the tags, and guesses nothing:
//! a store without an id, or one that looks as if its disk were not mounted, is refused.

use std::collections::HashSet;
use std::time::Duration;

use machine_driver::{Driver, LeftBehind};
use machine_flow::{Scope, undo_all};

use crate::rollback::{ByDriver, describe, left, resources};
use crate::{Error, Left, Library};

/// What `prune` was asked for.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// Whether to remove what is found; otherwise it is only listed.
    pub force: bool,
    /// How old something must be to be touched: a create that is running right now is younger.
    pub older_than: Duration,
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

impl Library {
    /// Lists, or with `force` removes, what no machine of the store owns.
    ///
    /// # Errors
    /// [`Error::Prune`] where it would have to guess; the driver's where the cloud cannot be asked.
    pub async fn prune(&self, options: &PruneOptions) -> Result<Pruned, Error> {
        let Some(store_id) = self.store.id()? else {
            return Err(Error::Prune(format!(
                "{} has no id, so nothing can carry its tags (is the disk mounted?)",
                self.settings.store.display()
            )));
        };
        let mut pruned = Pruned::default();
        if options.force {
            pruned.left = self.settle_tombstones().await;
        }
        let (drivers, owned) = self.drivers_and_what_they_own().await?;
        if drivers.is_empty() {
            return Err(Error::Prune(format!(
                "{} has neither machines nor tombstones, so there is no place to ask (is the disk mounted?)",
                self.settings.store.display()
            )));
        }
        let cx = self.context();
        let now = self.ambient.now();
        let mut asked: HashSet<Scope> = HashSet::new();
        for driver in &drivers {
            if !asked.insert(driver.scope()) {
                continue;
            }
            let kind = self.kind(driver.name())?;
            for found in kind.left_behind(&**driver, store_id.as_str(), &cx).await? {
                if owned.contains(&identity(&found)) || age(now, &found) < options.older_than {
                    continue;
                }
                pruned.found.push(Found {
                    what: describe(&found.resource),
                    machine: found.machine.clone(),
                    state: found.state.clone(),
                    created: found.created,
                });
                if options.force {
                    let by_driver = ByDriver(&**driver);
                    let report = undo_all(vec![found.resource], &by_driver, &cx).await;
                    pruned.removed += report.gone;
                    pruned.left.extend(left(report));
                }
            }
        }
        Ok(pruned)
    }

    /// Opens every machine and tombstone that can be opened, and says what they own.
    async fn drivers_and_what_they_own(
        &self,
    ) -> Result<(Vec<Box<dyn Driver>>, HashSet<String>), Error> {
        let (mut drivers, mut owned) = (Vec::new(), HashSet::new());
        for name in self.names()? {
            // A machine that cannot be made out may own anything: nothing is pruned around it.
            let machine = self.open(&name).await?;
            let entries = self.store.entries(&machine.name)?;
            for resource in resources(&*machine.driver, &entries) {
                owned.extend(resource.id);
                owned.insert(resource.intent.key);
            }
            drivers.push(machine.driver);
        }
        for tombstone in self.store.tombstones()? {
            let record = self.store.tombstone_record(&tombstone)?;
            let machine = self.open_record(tombstone.name().clone(), record)?;
            drivers.push(machine.driver);
        }
        Ok((drivers, owned))
    }
}

fn identity(found: &LeftBehind) -> String {
    let resource = &found.resource;
    resource
        .id
        .clone()
        .unwrap_or_else(|| resource.intent.key.clone())
}

fn age(now: std::time::SystemTime, found: &LeftBehind) -> Duration {
    let created = std::time::UNIX_EPOCH + Duration::from_millis(found.created);
    now.duration_since(created).unwrap_or_default()
}
