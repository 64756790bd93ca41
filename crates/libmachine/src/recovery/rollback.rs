//! Undoing a machine: a failed create and `rm` both end here.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use machine_driver::{Driver, DriverError};
use machine_ops::{
    Cancel, Cx, Entry, JournalError, Phase, Resource, Undo, UndoReport, Undone, open_resources,
    undo_all, within,
};

use crate::Left;
use machine_types::one_line;

/// How long an undo may take. It ends as soon as the cloud has answered: this only bounds look-up, key pair and
/// instance, each of which waits up to ten minutes for the cloud's rate limit, within the hour that GitLab Runner
/// gives to `rm`.
const LIMIT: Duration = Duration::from_secs(40 * 60);

pub(crate) struct ByDriver<'a>(pub(crate) &'a dyn Driver);

#[async_trait]
impl Undo for ByDriver<'_> {
    type Error = DriverError;

    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError> {
        self.0.undo(resource, cx).await
    }
}

/// Removes everything of ours that the journal knows, and what the saved configuration names
/// besides. It has a cancellation of its own: an operation that was cancelled is undone all the same.
///
/// # Errors
/// Only where the journal cannot be read.
pub(crate) async fn undo_machine(
    driver: &dyn Driver,
    cx: &Cx,
) -> Result<UndoReport<DriverError>, JournalError> {
    let entries = cx.journal.entries()?;
    Ok(undo_in_time(driver, resources(driver, &entries), cx).await)
}

/// Removes resources, with a cancellation of its own, and within a time.
pub(crate) async fn undo_in_time(
    driver: &dyn Driver,
    resources: Vec<Resource>,
    cx: &Cx,
) -> UndoReport<DriverError> {
    let cx = cx.with_cancel(Cancel::new());
    let by_driver = ByDriver(driver);
    let undo = undo_all(resources, &by_driver, &cx);
    within(&cx, "undo", LIMIT, undo).await
}

/// Returns what has to be undone. What the configuration names and the journal has never heard of
/// was made by the Go binary; what the journal says is undone is not undone again.
pub(crate) fn resources(driver: &dyn Driver, entries: &[Entry]) -> Vec<Resource> {
    let mut known: HashSet<String> = HashSet::new();
    for entry in entries {
        match &entry.phase {
            Phase::Intent { intent } => {
                known.insert(format!("{} {}", intent.kind, intent.key));
            }
            Phase::Made { id: Some(id), .. } => {
                known.insert(id.clone());
            }
            _ => {}
        }
    }
    let by_journal = open_resources(entries);
    let by_configuration = driver.saved_resources().into_iter().filter(|resource| {
        let key = format!("{} {}", resource.intent.kind, resource.intent.key);
        let id_known = resource.id.as_ref().is_some_and(|id| known.contains(id));
        !known.contains(&key) && !id_known
    });
    by_configuration
        .collect::<Vec<_>>()
        .into_iter()
        .chain(by_journal)
        .collect()
}

/// Says what is left behind, for people.
pub(crate) fn left(report: UndoReport<DriverError>) -> Vec<Left> {
    report
        .left
        .into_iter()
        .map(|leftover| Left {
            what: describe(&leftover.resource),
            why: match leftover.reason {
                Ok(why) => why,
                Err(error) => one_line(error),
            },
        })
        .collect()
}

/// Names a resource, its id and its place.
pub(crate) fn describe(resource: &Resource) -> String {
    let kind = resource.intent.kind.replace('-', " ");
    let key = &resource.intent.key;
    let name = match &resource.id {
        Some(id) => id.clone(),
        None if resource.made => key.clone(),
        None => format!("{key} (it may never have been made)"),
    };
    match resource.intent.scope.region.as_str() {
        "" => format!("{kind} {name}"),
        region => format!("{kind} {name} in {region}"),
    }
}
