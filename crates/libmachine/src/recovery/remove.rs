//! `rm`: removes the resources that a machine's journal and configuration name, then the machine's record.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use machine_driver::{Cloud, DriverError, DriverErrorKind, Options};
use machine_ops::{Cancel, Cx, Phase, Resource, Scope, open_resources};
use machine_store::{MachineLock, StoreError};
use machine_types::MachineName;

use crate::journal::Remembering;
use crate::machine::Machine;
use crate::recovery::by_tags::Sought;
use crate::recovery::by_tags::{traces, undo_without_journal};
use crate::recovery::ownership::record_by_journal;
use crate::recovery::removal_request::{request_removal, withdraw_request};
use crate::recovery::rollback::{Report, left, undo_machine};
use crate::recovery::tombstones::settle_in_passing;
use crate::{Error, Left, Library};
use machine_types::one_line;

/// Timeout of `rm`'s wait for a create that it told to stop. The create finishes its current call, then rolls back,
/// which may have to wait for the cloud's rate limit.
const HANDOVER: Duration = Duration::from_secs(15 * 60);

/// Options of a removal.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// Whether to remove the record of a machine that cannot be undone; its journal is kept.
    pub force: bool,
    /// Places that the environment names, each by a driver and its flags. They are searched for a machine whose local
    /// records are lost.
    pub places: Vec<(&'static str, Options)>,
}

/// Result of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Resources that could not be removed or may still exist. They are recorded as a tombstone, which `create`, `rm`
    /// and
    /// `prune` retry.
    pub left: Vec<Left>,
    /// The error that force overrode.
    pub overridden: Option<String>,
}

/// Removes a machine: its cloud resources, then its directory. Works in any state and can be repeated: missing
/// resources are not an error. Uncertain resources are recorded outside `machines/`. If the configuration or the
/// journal is broken, uses the other one and the tags.
///
/// # Errors
/// Returns [`Error::NotFound`] for an unknown name, or [`Error::Remove`] if the cloud refuses: the machine then stays.
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
    let removed = remove_with_log(library, lock, options).await;
    settle_in_passing(library).await;
    removed
}

/// Removes a machine and the log of its create. A machine that is gone is a success: a create's rollback or another rm
/// has removed it meanwhile.
async fn remove_with_log(
    library: &Library,
    lock: MachineLock,
    options: &RemoveOptions,
) -> Result<Removed, Error> {
    let name = lock.name().clone();
    if !library.store.exists(&name) {
        return Ok(Removed::default());
    }
    let removed = remove_locked(library, lock, options).await;
    if removed.is_ok() {
        library.store.remove_log(&name);
    }
    removed
}

/// Maximum number of machines that are removed at once.
const AT_ONCE: usize = 16;

/// Progress of the removal of one of several machines.
pub enum Removal {
    /// Its instance is certainly ending.
    Ending,
    /// It ended with this result.
    Ended(Result<Removed, Error>),
}

/// Removes several machines; see [`remove`]. Requests the end of all instances of one place with one call first, where
/// the cloud can do that. Calls `progress` for each machine, with [`Removal::Ended`] last: no machine waits for another.
pub async fn remove_all(
    library: &Library,
    names: &[String],
    options: &RemoveOptions,
    progress: &dyn Fn(&str, Removal),
) {
    let (mut free, mut others) = (Vec::new(), Vec::new());
    for name in names {
        let parsed: Option<MachineName> = name.parse().ok();
        let lock = parsed
            .filter(|name| library.store.exists(name))
            .and_then(|name| library.store.try_lock_machine(&name).ok().flatten());
        match lock {
            Some(lock) => free.push(lock),
            None => others.push(name),
        }
    }
    for name in end_together(library, &free).await {
        progress(&name, Removal::Ending);
    }
    let free = free.into_iter().map(|lock| {
        let name = lock.name().to_string();
        let removal = async move { (name, remove_with_log(library, lock, options).await) };
        removal.boxed_local()
    });
    let others = others.into_iter().map(|name| {
        let removal = async move { (name.clone(), remove(library, name, options).await) };
        removal.boxed_local()
    });
    stream::iter(free.chain(others))
        .buffer_unordered(AT_ONCE)
        .for_each(|(name, result)| async move { progress(&name, Removal::Ended(result)) })
        .await;
    settle_in_passing(library).await;
}

/// Requests the end of the machines' instances, with one call for those of one place, and records it in their journals.
/// Returns the names of the machines whose instances are ending.
async fn end_together(library: &Library, locks: &[MachineLock]) -> Vec<String> {
    let mut groups: Vec<(Machine, Scope, Vec<Instance>)> = Vec::new();
    for lock in locks {
        let cx = library.context_over(lock.name(), Remembering::over(library.store.journal(lock)));
        let opened = open_by_record_or_journal(library, lock.name()).await;
        let (Ok(machine), Ok(entries)) = (opened, cx.journal.entries()) else {
            continue;
        };
        let Some(cloud) = machine.driver.cloud() else {
            continue;
        };
        let id = cloud.id();
        let resource = open_resources(&entries)
            .into_iter()
            .find(|resource| resource.made && resource.id.is_some() && resource.id == id);
        let Some((id, resource)) = id.zip(resource) else {
            continue;
        };
        let scope = resource.intent.scope.clone();
        let name = lock.name().to_string();
        let instance = Instance {
            name,
            id,
            resource,
            cx,
        };
        let same = |(first, of, _): &&mut (Machine, Scope, Vec<Instance>)| {
            let route = first.driver.cloud().map(Cloud::route);
            first.driver.name() == machine.driver.name()
                && *of == scope
                && route == Some(cloud.route())
        };
        match groups.iter_mut().find(same) {
            Some((_, _, instances)) => instances.push(instance),
            None => groups.push((machine, scope, vec![instance])),
        }
    }
    let mut ended = Vec::new();
    for (machine, scope, instances) in groups {
        let Some(cloud) = machine.driver.cloud() else {
            continue;
        };
        let ids: Vec<String> = instances.iter().map(|found| found.id.clone()).collect();
        let cx = library.context().with_cancel(Cancel::new());
        let ending = cloud.end(&ids, &scope, &cx).await;
        let is_ending = |instance: &Instance| ending.contains(&instance.id);
        for Instance {
            name, resource, cx, ..
        } in instances.into_iter().filter(is_ending)
        {
            // If this cannot be written, the undo requests the end once more.
            if let Some(step) = resource.step
                && let Err(error) = cx.record(step, &resource.name, Phase::Undone)
            {
                cx.debug(one_line(error));
            }
            ended.push(name);
        }
    }
    ended
}

/// An instance to end, and the context of its machine.
struct Instance {
    name: String,
    id: String,
    resource: Resource,
    cx: Cx,
}

/// Takes the machine's lock. If a create holds it, tells the create to stop.
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

/// Opens a machine. If its configuration or the driver's part of it is broken, uses its journal.
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

/// Removes the machine's resources that were found by tags. If there may be more, only force does this, and the
/// machine's files are kept.
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
    // A journal of some resources would be taken for a complete one.
    let report = traces.undo(are_complete, cx).await;
    settle_up(library, lock, report, traces.uncertain, options.force)
}

/// Removes the record of a machine that was undone. Keeps it as a tombstone if resources are left or uncertain.
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

/// Removes the directory of a machine that cannot be read. Unless it has neither journal nor configuration, keeps it as
/// a tombstone, since another version may be able to read it.
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

/// Moves a machine to the tombstones. Succeeds if another process has removed it.
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

/// Separates the first refusal from the other leftovers.
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

/// Returns a summary of a refusal; the full error is printed next to it.
fn in_short(kind: DriverErrorKind) -> &'static str {
    match kind {
        DriverErrorKind::Denied => "refused",
        DriverErrorKind::Unavailable => "no answer for now",
        DriverErrorKind::Cancelled => "cancelled",
        _ => "failed",
    }
}
