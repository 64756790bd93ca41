//! A machine of which nothing on the disk tells: what the tags of the cloud's resources say of it.
//!
//! Its configuration and its journal are gone or broken. What carries this store's tag and the machine's
//! name is the machine's; it is looked for wherever another machine of the store is, and where the
//! environment points. Nothing is concluded from nothing: where no tag tells, the machine stays.

use std::collections::HashSet;
use std::time::Duration;

use machine_driver::{DriverError, LeftBehind, Options, OwnedBy};
use machine_flow::{Cancel, Cx, Entry, Phase, Resource, UndoOrder, UndoReport, undo_all};
use machine_types::{MachineName, SwarmOptions};

use crate::list::one_line;
use crate::prune::{Opened, Place, age, distinct};
use crate::rollback::ByDriver;
use crate::{Error, Left, Library};

/// How long EC2 may not show an instance whose key pair it shows (EC2 API Reference, "Eventual
/// consistency").
const CONSISTENCY_WINDOW: Duration = Duration::from_secs(300);

impl Library {
    /// Undoes what the tags say is the machine's, and writes it into the machine's journal first.
    ///
    /// # Errors
    /// Where they say nothing, or not all yet: nothing was touched. Says where was looked in vain.
    pub(crate) async fn undo_by_tags(
        &self,
        name: &MachineName,
        environment: &[(&'static str, Options)],
        cx: &Cx,
    ) -> Result<UndoReport<DriverError>, Vec<Left>> {
        let found = self.find_by_tags(name, environment).await?;
        let mut report = UndoReport {
            gone: 0,
            left: Vec::new(),
        };
        let cx = cx.with_cancel(Cancel::new());
        for (place, resources) in found {
            let resources = resources.into_iter().map(|found| on_record(found, &cx));
            let resources = resources.collect();
            let undone = undo_all(resources, &ByDriver(&*place.driver), &cx).await;
            report.gone += undone.gone;
            report.left.extend(undone.left);
        }
        Ok(report)
    }

    async fn find_by_tags(
        &self,
        name: &MachineName,
        environment: &[(&'static str, Options)],
    ) -> Result<Vec<(Place, Vec<Resource>)>, Vec<Left>> {
        let in_vain = |why: String| Left {
            what: format!("whatever was made for {name}"),
            why,
        };
        let nowhere = |error: Error| vec![in_vain(one_line(error))];
        let Some(store_id) = self.store.id().map_err(|error| nowhere(error.into()))? else {
            return Err(vec![in_vain("the store has no id to look for".into())]);
        };
        let others = self.others(name).map_err(nowhere)?;
        let owned: HashSet<String> = others.iter().flat_map(Opened::keys).collect();
        let here = self.of_environment(name, environment);
        let places = distinct(others.into_iter().chain(here));
        if places.is_empty() {
            return Err(vec![in_vain(
                "nobody says where to look: no other machine, and neither $AWS_DEFAULT_REGION nor $AWS_ENDPOINT"
                    .into(),
            )]);
        }
        let (mut found, mut seen, mut vain) = (Vec::new(), HashSet::new(), Vec::new());
        for place in places {
            let owner = OwnedBy {
                store: Some(store_id.as_str()),
                tags: &[],
                account: place.scope.account.as_deref(),
            };
            let region = &place.scope.region;
            let listed = match self.kind(place.driver.name()) {
                Ok(kind) => {
                    let context = self.context_about(name);
                    kind.left_behind(&*place.driver, owner, &context).await
                }
                Err(_) => continue,
            };
            let mut items = match listed {
                Ok(items) => items,
                Err(error) => {
                    vain.push(in_vain(format!("{region}: {}", one_line(error))));
                    continue;
                }
            };
            items.retain(|item| is_its(item, name, &owned));
            if items.is_empty() {
                vain.push(in_vain(format!(
                    "nothing in {region} carries this store's tag and that name"
                )));
            }
            if self.may_have_more(&items) {
                vain.push(in_vain(format!(
                    "{region} has its key pair, and may not show its instance yet: try again in five minutes"
                )));
                return Err(vain);
            }
            items.retain(|item| seen.insert(item.resource.id.clone()));
            let resources: Vec<Resource> = items.into_iter().map(|item| item.resource).collect();
            if !resources.is_empty() {
                found.push((place, resources));
            }
        }
        if found.is_empty() {
            return Err(vain);
        }
        Ok(found)
    }

    /// Whether there is nothing but what is made before all else, and that only just now.
    fn may_have_more(&self, items: &[LeftBehind]) -> bool {
        let now = self.ambient.now();
        let first = |item: &LeftBehind| {
            item.resource.intent.undo == UndoOrder::First
                && age(now, item.created) < CONSISTENCY_WINDOW
        };
        !items.is_empty() && items.iter().all(first)
    }

    /// Opens all other machines that can be opened.
    fn others(&self, name: &MachineName) -> Result<Vec<Opened>, Error> {
        let mut others = Vec::new();
        for other in self
            .store
            .names()?
            .into_iter()
            .filter(|other| other != name)
        {
            let record = self.store.try_load(&other).ok();
            let record = record.or_else(|| self.record_by_journal(&other));
            let opened = record.and_then(|record| self.open_record(other.clone(), record).ok());
            let entries = self.store.entries(&other).unwrap_or_default();
            others.extend(opened.map(|machine| Opened {
                driver: machine.driver,
                entries,
            }));
        }
        Ok(others)
    }

    /// Makes the drivers of the places that the environment names.
    fn of_environment(
        &self,
        name: &MachineName,
        environment: &[(&'static str, Options)],
    ) -> Vec<Opened> {
        let base = self.base(name, &SwarmOptions::default(), String::new());
        environment
            .iter()
            .filter_map(|(driver, options)| self.kind(driver).ok()?.configure(&base, options).ok())
            .map(|driver| Opened {
                driver,
                entries: Vec::new(),
            })
            .collect()
    }
}

/// Whether something is the machine's, and no other's of the store: the name that it carries may be a
/// tag that users set as they like.
fn is_its(item: &LeftBehind, name: &MachineName, owned: &HashSet<String>) -> bool {
    let resource = &item.resource;
    let is_owned = owned.contains(&resource.intent.key)
        || resource.id.as_ref().is_some_and(|id| owned.contains(id));
    item.machine == name.as_str() && !is_owned
}

/// Writes into the journal what was found. Where the disk refuses, this process remembers it.
fn on_record(found: Resource, cx: &Cx) -> Resource {
    let step = cx.ambient.random() >> 1;
    let entry = |phase| Entry {
        step,
        name: found.name.clone(),
        at: found.at,
        phase,
    };
    let intent = found.intent.clone();
    let (id, account) = (found.id.clone(), found.intent.scope.account.clone());
    for phase in [Phase::Intent { intent }, Phase::Made { id, account }] {
        if let Err(error) = cx.journal.append(&entry(phase)) {
            cx.debug(one_line(error));
        }
    }
    Resource {
        step: Some(step),
        ..found
    }
}
