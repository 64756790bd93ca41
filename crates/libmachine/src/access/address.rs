//! Handles a machine whose address changed outside docker-machine: it was stopped and started in the cloud's console,
//! or got an Elastic IP. The pinned host key and the machine's certificate prove that the new address is the machine's.

use std::time::Duration;

use machine_driver::Status;
use machine_ops::Cx;
use machine_store::{MachineLock, StoreError};
use machine_types::{MachineState, one_line};

use crate::half_made::{HalfMade, half_made};
use crate::journal::ReadOnly;
use crate::machine::{Machine, Work, is_gone, with_removal};
use crate::{Error, Library};

/// Timeout of the cloud's query for the address.
pub(crate) const TELLS: Duration = Duration::from_secs(15);

/// Why a machine does not answer, as the cloud reports it.
pub(crate) enum Down {
    /// It does not run, or no longer exists.
    Because(Error),
    /// Its address changed; the machine has the new one.
    Moved,
    /// It runs at its saved address.
    InPlace,
    /// The cloud gives no reason.
    Unknown,
}

/// Updates the address of a running machine if it differs from the saved one, and reports the change. Saves it unless
/// another process holds the machine's lock or the store is read-only. Returns whether the address differs.
pub(crate) fn take_address(
    library: &Library,
    machine: &mut Machine,
    status: &Status,
    cx: &Cx,
) -> bool {
    let before = machine.address();
    if !machine.driver.adopt(status) {
        return false;
    }
    let lock = library.store.try_lock_machine(&machine.name);
    let lock = lock.unwrap_or_else(|error| {
        cx.debug(one_line(error));
        None
    });
    if before.is_none() && lock.is_none() && half_made(library, machine).is_some() {
        // Its create is running and sets the address itself.
        if let Ok(unchanged) = library.open_record(machine.name.clone(), machine.record.clone()) {
            *machine = unchanged;
        }
        return false;
    }
    tell(machine, before.as_deref(), cx);
    if let Some(lock) = lock
        && let Err(error) = keep_address(library, &lock, machine, before, status)
    {
        cx.warn(format!(
            "({}) The address is not saved: {}",
            machine.name,
            one_line(error)
        ));
    }
    true
}

/// Does the same as `take_address` for a machine that the caller has locked.
pub(crate) fn take_address_of(
    library: &Library,
    work: &mut Work,
    status: &Status,
) -> Result<bool, Error> {
    let before = work.machine.address();
    if !work.machine.driver.adopt(status) {
        return Ok(false);
    }
    tell(&work.machine, before.as_deref(), &work.cx);
    library.save(work)?;
    Ok(true)
}

/// Saves the address if the stored record is unchanged since it was read.
fn keep_address(
    library: &Library,
    lock: &MachineLock,
    machine: &Machine,
    before: Option<String>,
    status: &Status,
) -> Result<(), Error> {
    let record = library.store.try_load(&machine.name)?;
    let mut current = library.open_record(machine.name.clone(), record)?;
    let id = |machine: &Machine| machine.driver.cloud().and_then(|cloud| cloud.id());
    if current.address() != before || id(&current) != id(machine) || !current.driver.adopt(status) {
        return Ok(());
    }
    current.record.driver = current.driver.save();
    match library.store.save(lock, &current.record) {
        // A later docker-machine wrote the file: leave it unchanged.
        Err(StoreError::Newer { .. }) => Ok(()),
        saved => Ok(saved?),
    }
}

/// Queries the cloud, with the timeout `within`, for the reason why a machine does not answer.
pub(crate) async fn why_down(
    library: &Library,
    machine: &mut Machine,
    within: Duration,
    cx: &Cx,
) -> Down {
    let begun = library.ambient.monotonic();
    let about = &Cx {
        journal: ReadOnly::of(&library.store, &machine.name),
        ..cx.clone()
    };
    match tokio::time::timeout(within, machine.driver.state(about)).await {
        Ok(Ok(status)) if status.state != MachineState::Running => {
            let spent = library.ambient.monotonic().saturating_sub(begun);
            let left = within.saturating_sub(spent);
            Down::Because(not_running(library, machine, status.state, left, cx).await)
        }
        Ok(Ok(status)) => match take_address(library, machine, &status, cx) {
            true => Down::Moved,
            false => Down::InPlace,
        },
        Ok(Err(error)) if is_gone(&error) => {
            Down::Because(with_removal(&machine.name, error).into())
        }
        Ok(Err(error)) => {
            cx.debug(one_line(error));
            Down::Unknown
        }
        Err(_) => Down::Unknown,
    }
}

/// Returns the error of a machine that does not run. Asks its cloud why, if it has ended.
pub(crate) async fn not_running(
    library: &Library,
    machine: &Machine,
    state: MachineState,
    within: Duration,
    cx: &Cx,
) -> Error {
    let was_interrupted = half_made(library, machine) == Some(HalfMade::Interrupted);
    let is_coming = matches!(state, MachineState::Starting | MachineState::Error);
    let mut gone = (was_interrupted && is_coming).then(|| "its create was interrupted".to_owned());
    if state == MachineState::Error
        && let Some(cloud) = machine.driver.cloud()
        && let Some(id) = cloud.id()
    {
        let ids = [id];
        let asked = tokio::time::timeout(within, cloud.states(&ids, cx)).await;
        let states = asked.unwrap_or_default();
        let ended = states.into_iter().filter_map(Result::err).find(is_gone);
        gone = ended.map(one_line).or(gone);
    }
    Error::NotRunning {
        name: machine.name.to_string(),
        state,
        gone,
        can_start: machine.driver.cloud().is_some(),
    }
}

/// Returns a copy of the machine with the cloud's address, if that differs from the saved one.
pub(crate) fn copy_at(library: &Library, machine: &Machine, status: &Status) -> Option<Machine> {
    let copy = library.open_record(machine.name.clone(), machine.record.clone());
    let mut copy = copy.ok()?;
    copy.driver.adopt(status).then_some(copy)
}

fn tell(machine: &Machine, before: Option<&str>, cx: &Cx) {
    let now = machine.address().unwrap_or_default();
    let name = &machine.name;
    cx.warn(match before {
        Some(before) => format!("({name}) The machine's address is {now} now; it was {before}"),
        None => format!("({name}) The machine's address is {now}"),
    });
}
