//! Tombstones: records of resources that `rm` could not remove, kept for a later retry.

use std::time::Duration;

use machine_ops::Journal as _;
use machine_store::{StoreError, Tombstone};

use crate::journal::Remembering;
use crate::machine::Machine;
use crate::recovery::by_tags::undo_without_journal;
use crate::recovery::ownership::{intents, record_of};
use crate::recovery::rollback::{left, undo_machine};
use crate::{Error, Left, Library};
use machine_types::one_line;

/// Total time that `create` and `rm` spend on old tombstones.
const IN_PASSING: Duration = Duration::from_secs(2);

/// Retries the removal of earlier leftovers for at most two seconds. Never fails the calling command.
pub(crate) async fn settle_in_passing(library: &Library) {
    let settled = tokio::time::timeout(IN_PASSING, settle_tombstones(library)).await;
    if settled.is_err() {
        library
            .context()
            .debug("tombstones: the time of 2 s is over");
    }
}

/// Retries every tombstone, and returns what is still left.
pub(crate) async fn settle_tombstones(library: &Library) -> Vec<Left> {
    let cx = library.context();
    let tombstones = match library.store.tombstones() {
        Ok(tombstones) => tombstones,
        Err(error) => {
            cx.debug(one_line(error));
            return Vec::new();
        }
    };
    let mut unsettled = Vec::new();
    for tombstone in &tombstones {
        match settle(library, tombstone).await {
            Ok(left) => unsettled.extend(left),
            Err(error) => unsettled.push(unopened(tombstone, error)),
        }
    }
    unsettled
}

async fn settle(library: &Library, tombstone: &Tombstone) -> Result<Vec<Left>, Error> {
    let Some(_lock) = library.store.try_lock_tombstone(tombstone)? else {
        // Another process is retrying it, or it is done.
        return Ok(Vec::new());
    };
    let Some(machine) = open_tombstone(library, tombstone)? else {
        return Ok(Vec::new());
    };
    let cx = library.context_over(
        tombstone.name(),
        Remembering::over(library.store.tombstone_journal(tombstone)),
    );
    let left = match undo_machine(&*machine.driver, &cx).await {
        Ok(report) => left(report),
        Err(broken) => {
            let undone = undo_without_journal(library, machine, true, &[], broken, &cx);
            let (report, uncertain) = undone.await;
            left(report).into_iter().chain(uncertain).collect()
        }
    };
    if left.is_empty() {
        library.store.remove_tombstone(tombstone)?;
        cx.say(format!("Settled what was left of {}", tombstone.name()));
    }
    Ok(left)
}

/// Opens the machine of a tombstone. If its configuration is broken, uses its journal. Returns `None` if this binary
/// cannot do anything: it does not include the driver, or no resources are recorded, such as after another process
/// removed them.
pub(crate) fn open_tombstone(
    library: &Library,
    tombstone: &Tombstone,
) -> Result<Option<Machine>, Error> {
    let name = tombstone.name();
    let record = library.store.tombstone_record(tombstone);
    let opened = record
        .map_err(Error::from)
        .and_then(|record| library.open_record(name.clone(), record));
    let error = match opened {
        Err(Error::StoredDriver { .. }) => return Ok(None),
        Err(error) => error,
        Ok(machine) => return Ok(Some(machine)),
    };
    let intents = intents(library.store.tombstone_journal(tombstone).entries()?);
    match record_of(library, name, &intents) {
        Some(record) => match library.open_record(name.clone(), record) {
            Err(Error::StoredDriver { .. }) => Ok(None),
            opened => opened.map(Some),
        },
        None if matches!(error, Error::Store(StoreError::ConfigMissing { .. })) => Ok(None),
        None => Err(error),
    }
}

/// Returns the message that a tombstone cannot be read.
pub(crate) fn unopened(tombstone: &Tombstone, error: Error) -> Left {
    Left {
        what: format!("whatever was made for {}", tombstone.name()),
        why: one_line(error),
    }
}
