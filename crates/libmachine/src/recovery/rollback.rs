//! Undoes a machine, for a failed create and for `rm`.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use machine_driver::{Driver, DriverError};
use machine_ops::{
    Cancel, Cx, Entry, JournalError, Ownership, Phase, Resource, Undo, UndoReport, Undone,
    open_resources, undo_all, within,
};

use crate::Left;
use machine_types::one_line;

/// Timeout of an undo, which ends as soon as the cloud has answered. The limit only bounds lookup, key pair and
/// instance, each of which waits up to ten minutes for the cloud's rate limit, within the hour that GitLab Runner gives
/// to `rm`.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Result of an undo.
#[derive(Default)]
pub(crate) struct Report {
    /// Number of resources that are gone.
    pub(crate) gone: usize,
    /// Resources that are left behind, in the order of the attempts.
    pub(crate) left: Vec<Leftover>,
}

/// A resource that an undo could not remove.
pub(crate) struct Leftover {
    /// Description for messages.
    pub(crate) what: String,
    /// The reason: the error, or the text of [`Undone::Unresolved`].
    pub(crate) reason: Result<String, DriverError>,
}

impl Report {
    /// Adds the result of another undo.
    pub(crate) fn add(&mut self, other: Self) {
        self.gone += other.gone;
        self.left.extend(other.left);
    }
}

struct ByDriver<'a>(&'a dyn Driver);

#[async_trait]
impl Undo for ByDriver<'_> {
    type Error = DriverError;

    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError> {
        self.0.undo(resource, cx).await
    }
}

/// Removes all resources that the journal lists and those that the saved configuration names. Has its own cancellation,
/// so that a cancelled operation is undone too.
///
/// # Errors
/// Fails only if the journal cannot be read.
pub(crate) async fn undo_machine(driver: &dyn Driver, cx: &Cx) -> Result<Report, JournalError> {
    let entries = cx.journal.entries()?;
    Ok(undo_in_time(driver, resources(driver, &entries), cx).await)
}

/// Removes resources, with its own cancellation and a timeout.
pub(crate) async fn undo_in_time(driver: &dyn Driver, resources: Vec<Resource>, cx: &Cx) -> Report {
    let cx = cx.with_cancel(Cancel::new());
    within(&cx, "undo", LIMIT, undo(driver, resources, &cx)).await
}

/// Removes resources.
pub(crate) async fn undo(driver: &dyn Driver, resources: Vec<Resource>, cx: &Cx) -> Report {
    told(driver, undo_all(resources, &ByDriver(driver), cx).await)
}

/// Returns the resources to undo. A resource that only the configuration names was made by the Go binary. Excludes
/// those that the journal lists as undone.
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

/// Describes the resources that certainly exist and have to be undone, for messages, the latest first. A borrowed one,
/// such as a security group, stays.
pub(crate) fn made(driver: &dyn Driver, cx: &Cx) -> Vec<String> {
    let entries = cx.journal.entries().unwrap_or_default();
    let made = resources(driver, &entries)
        .into_iter()
        .rev()
        .filter(|resource| resource.made && resource.intent.ownership == Ownership::Ours);
    made.map(|resource| driver.describe(&resource)).collect()
}

/// Converts a report of `undo_all` to messages, while the owner of the resources is known.
fn told(driver: &dyn Driver, report: UndoReport<DriverError>) -> Report {
    let left = report.left.into_iter().map(|leftover| Leftover {
        what: driver.describe(&leftover.resource),
        reason: leftover.reason,
    });
    Report {
        gone: report.gone,
        left: left.collect(),
    }
}

/// Describes what is left behind, for messages.
pub(crate) fn left(report: Report) -> Vec<Left> {
    report
        .left
        .into_iter()
        .map(|leftover| Left {
            what: leftover.what,
            why: match leftover.reason {
                Ok(why) => why,
                Err(error) => one_line(error),
            },
        })
        .collect()
}
