//! `rm`: undo what a machine's journal and configuration name, then forget the machine.

use std::time::Duration;

use machine_driver::{DriverError, DriverErrorKind, Options};
use machine_ops::Cx;
use machine_store::{MachineLock, StoreError};
use machine_types::MachineName;

use crate::journal::Remembering;
use crate::machine::Machine;
use crate::recovery::by_tags::Sought;
use crate::recovery::by_tags::{traces, undo_without_journal};
use crate::recovery::removal_request::{request_removal, withdraw_request};
use crate::recovery::rollback::{Report, left, undo_machine};
use crate::recovery::tombstones::{record_by_journal, settle_in_passing};
use crate::{Error, Left, Library};
use machine_types::one_line;

/// How long `rm` waits for a create that it told to give up: a call that was sent gets its answer, then comes the
/// rollback, which may have to wait for the cloud's rate limit.
const HANDOVER: Duration = Duration::from_secs(15 * 60);

/// How a machine is removed.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// Whether a machine that cannot be undone is forgotten all the same, and its journal kept.
    pub force: bool,
    /// Places that the environment names, each by a driver and its flags: where a machine is looked for of
    /// which nothing on the disk tells.
    pub places: Vec<(&'static str, Options)>,
}

/// What became of a machine that was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// What could not be removed, or may still be there. It is on record as a tombstone, which
    /// `create`, `rm` and `prune` look after.
    pub left: Vec<Left>,
    /// What went wrong and was overridden by force.
    pub overridden: Option<String>,
}

/// Removes a machine: its resources in the cloud, then its directory. In any state, and as
/// often as one likes: what is gone already is fine. What nobody can be certain of is kept on
/// record outside `machines/`. Where its configuration or its journal is broken the other one tells, and the
/// tags do.
///
/// # Errors
/// [`Error::NotFound`] for a name that the store never knew; [`Error::Remove`] where the cloud refuses: then
/// the machine stays.
pub async fn remove(
    library: &Library,
    name: &str,
    options: &RemoveOptions,
) -> Result<Removed, Error> {
    let not_found = || Error::NotFound(name.to_owned());
    let parsed: MachineName = name.parse().map_err(|_| not_found())?;
    if !library.store.exists(&parsed) {
        return Err(not_found());
    }
    let lock = take_over(library, &parsed).await?;
    let removed = if library.store.exists(&parsed) {
        remove_locked(library, lock, options).await
    } else {
        // A create that rolled back, or another rm, was quicker.
        Ok(Removed::default())
    };
    settle_in_passing(library).await;
    removed
}

/// Takes the machine's lock; whoever creates it is told to give up.
async fn take_over(library: &Library, name: &MachineName) -> Result<MachineLock, Error> {
    if let Some(lock) = library.store.try_lock_machine(name)? {
        return Ok(lock);
    }
    let cx = library.context();
    cx.phase(format!("waiting for another command to let go of {name}"));
    request_removal(&library.store, name)?;
    match library.store.lock_machine(name, HANDOVER, &cx).await {
        Ok(lock) => Ok(lock),
        Err(error) => {
            withdraw_request(&library.store, name);
            Err(error.into())
        }
    }
}

async fn remove_locked(
    library: &Library,
    lock: MachineLock,
    options: &RemoveOptions,
) -> Result<Removed, Error> {
    let (name, force) = (lock.name().clone(), options.force);
    let cx = library.context_over(&name, Remembering::over(library.store.journal(&lock)));
    cx.phase(format!("{name} · removing"));
    let machine = match open_by_record_or_journal(library, &name).await {
        Ok(machine) => machine,
        Err(error @ (Error::Store(_) | Error::Driver(_))) => {
            return remove_by_tags(library, lock, error, options, &cx).await;
        }
        Err(error) if force => return forget(library, lock, error),
        Err(error) => return Err(unremoved(&name, error, Vec::new())),
    };
    let (report, uncertain) = match undo_machine(&*machine.driver, &cx).await {
        Ok(report) => (report, Vec::new()),
        Err(error) => {
            going_by(library, "configuration and the tags", &name, &error);
            undo_without_journal(library, machine, false, &options.places, error, &cx).await
        }
    };
    settle_up(library, lock, report, uncertain, force)
}

/// Opens a machine; where its configuration is broken, or its driver's part of it, going by its journal.
async fn open_by_record_or_journal(
    library: &Library,
    name: &MachineName,
) -> Result<Machine, Error> {
    let record = library.store.load(name, &library.context()).await;
    let opened = record
        .map_err(Error::from)
        .and_then(|record| library.open_record(name.clone(), record));
    let error = match opened {
        Err(error @ (Error::Store(_) | Error::Driver(_))) => error,
        settled => return settled,
    };
    match record_by_journal(library, name) {
        Some(record) => {
            going_by(library, "journal", name, &error);
            library.open_record(name.clone(), record)
        }
        None => Err(error),
    }
}

/// Removes what the tags say is the machine's. Where there may be more, that is for force alone, and its files
/// are kept.
async fn remove_by_tags(
    library: &Library,
    lock: MachineLock,
    error: Error,
    options: &RemoveOptions,
    cx: &Cx,
) -> Result<Removed, Error> {
    let name = lock.name();
    let sought = Sought {
        name,
        is_buried: false,
        own: None,
        environment: &options.places,
    };
    let mut traces = traces(library, sought).await;
    let are_complete = traces.are_complete();
    if !are_complete && !options.force {
        return Err(unremoved(name, error, traces.in_vain()));
    }
    if traces.are_none() {
        return forget(library, lock, error);
    }
    going_by(library, "tags", name, &error);
    // A journal that told of a part would pass for the whole.
    let report = traces.undo(are_complete, cx).await;
    settle_up(library, lock, report, traces.uncertain, options.force)
}

/// Forgets a machine that was undone, or keeps it on record where something is left or uncertain.
fn settle_up(
    library: &Library,
    lock: MachineLock,
    report: Report,
    uncertain: Vec<Left>,
    force: bool,
) -> Result<Removed, Error> {
    let (refusal, mut left) = take_refusal(report);
    left.extend(uncertain);
    let overridden = match refusal {
        Some(source) if !force => {
            return Err(unremoved(lock.name(), Error::Driver(source), left));
        }
        Some(source) => Some(one_line(source)),
        None => None,
    };
    if left.is_empty() && overridden.is_none() {
        library.store.remove(lock)?;
    } else {
        bury(library, lock)?;
    }
    Ok(Removed { left, overridden })
}

fn going_by(library: &Library, what: &str, name: &MachineName, why: impl std::error::Error) {
    let why = one_line(why);
    library
        .context()
        .warn(format!("({name}) going by the {what}: {why}"));
}

/// Removes a directory whose machine nobody can make out. Unless it holds neither journal nor
/// configuration, it is kept as a tombstone: somebody else may read what we cannot.
fn forget(library: &Library, lock: MachineLock, error: Error) -> Result<Removed, Error> {
    let overridden = Some(one_line(&error));
    let name = lock.name();
    let no_journal = library.store.entries(name).is_ok_and(|all| all.is_empty());
    let no_configuration = matches!(
        error,
        Error::Store(StoreError::ConfigMissing { .. } | StoreError::Empty { .. })
    );
    if no_journal && no_configuration {
        library.store.remove(lock)?;
        return Ok(Removed {
            left: Vec::new(),
            overridden,
        });
    }
    let left = vec![Left {
        what: format!("whatever was made for {name}"),
        why: one_line(&error),
    }];
    bury(library, lock)?;
    Ok(Removed { left, overridden })
}

/// Moves a machine to the tombstones. One that somebody else has taken away is fine.
fn bury(library: &Library, lock: MachineLock) -> Result<(), Error> {
    match library.store.entomb(lock) {
        Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn unremoved(name: &MachineName, source: Error, left: Vec<Left>) -> Error {
    Error::Remove {
        name: name.to_string(),
        source: Box::new(source),
        left,
    }
}

/// Parts the first refusal from what is left behind.
fn take_refusal(mut report: Report) -> (Option<DriverError>, Vec<Left>) {
    let first = report.left.iter().position(|left| left.reason.is_err());
    let refusal = first
        .map(|index| &mut report.left[index])
        .and_then(|leftover| {
            let kind = leftover.reason.as_ref().err().map(|error| error.kind);
            let placeholder = Ok(in_short(kind?).to_owned());
            std::mem::replace(&mut leftover.reason, placeholder).err()
        });
    (refusal, left(report))
}

/// What the refusal, which is told in full beside it, comes to.
fn in_short(kind: DriverErrorKind) -> &'static str {
    match kind {
        DriverErrorKind::Denied => "refused",
        DriverErrorKind::Unavailable => "no answer for now",
        DriverErrorKind::Cancelled => "cancelled",
        _ => "failed",
    }
}
