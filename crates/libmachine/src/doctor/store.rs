//! Checks the store as a whole: modes, locks, unfinished machines, tombstones, versions.

use machine_driver::Check;
use machine_store::{Oddity, StoreCondition, StoreError};

use super::failed;
use crate::error::denied_hint;
use crate::recovery::prune::way_out_of_records;
use crate::{Error, Library, confirmation_hint};

/// Free space below which a create may fail, in bytes. The files of a machine and the temporary ones beside them take
/// less than a hundred kilobytes.
const LEAST_SPACE: u64 = 1 << 20;

pub(super) fn examine_store(library: &Library) -> Vec<Check> {
    let base = library.store.base().display();
    if let Some(error) = denied(library) {
        return vec![failed("store", error, denied_hint())];
    }
    let mut checks = vec![match library.store.condition() {
        Ok(StoreCondition::Absent) => Check::notable(
            "store",
            format!("there is no {base} yet"),
            "the first create makes it; if there should be one, mount its disk",
        ),
        Ok(StoreCondition::WithoutId { machines }) if machines > 0 => {
            let found = format!("{base}, {}, all of the Go binary", counted(machines));
            Check::right("store", found)
        }
        Ok(StoreCondition::WithoutId { .. }) => Check::notable(
            "store",
            format!("{base} has neither machines nor an id"),
            "the first create makes the id; if there should be machines, mount the disk",
        ),
        Ok(StoreCondition::Empty { id }) => {
            Check::right("store", format!("{base}, no machines, id {id}"))
        }
        Ok(StoreCondition::Used { id, machines }) => {
            Check::right("store", format!("{base}, {}, id {id}", counted(machines)))
        }
        Err(error) => failed("store", error, "put the file right, or remove it"),
    }];
    if let Some(free) = library
        .store
        .free_space()
        .filter(|free| *free < LEAST_SPACE)
    {
        let found = format!("the disk of {base} is full: {free} bytes are free");
        checks.push(Check::wrong(
            "disk",
            found,
            "free some space: creates fail on a full disk",
        ));
    }
    // Problems of the file itself are reported above.
    let identity = library.store.identity().ok().flatten();
    if let Some(unconfirmed) = identity.and_then(|identity| identity.unconfirmed) {
        let found = format!("{unconfirmed}: prune removes nothing");
        checks.push(Check::wrong(
            "store id",
            found,
            confirmation_hint(&unconfirmed),
        ));
    }
    if let Err(error) = library.store.on_record() {
        let todo = way_out_of_records(&error);
        checks.push(failed("records", error, todo));
    }
    match library.store.oddities() {
        Ok(odd) => checks.extend(odd.into_iter().map(of_oddity)),
        Err(error) => checks.push(failed("store", error, "let this user read the store")),
    }
    match library.store.tombstones() {
        Ok(tombstones) => checks.extend(tombstones.iter().map(|tombstone| {
            Check::notable(
                "tombstone",
                format!("resources of {} may still exist", tombstone.name()),
                "run docker-machine prune --force",
            )
        })),
        Err(error) => checks.push(failed("tombstones", error, "let this user read them")),
    }
    checks
}

/// Returns the error if this user may not read the store.
pub(super) fn denied(library: &Library) -> Option<StoreError> {
    let refused = library.store.condition().err();
    refused.filter(StoreError::is_denied)
}

fn counted(machines: usize) -> String {
    match machines {
        1 => "1 machine".to_owned(),
        machines => format!("{machines} machines"),
    }
}

fn of_oddity(oddity: Oddity) -> Check {
    match oddity {
        Oddity::ReadOnly { path } => Check::wrong(
            "store",
            format!("{} cannot be written by this user", path.display()),
            "run as its owner, or mount it for writing",
        ),
        Oddity::Exposed { path, mode, wanted } => Check::wrong(
            "mode",
            format!("{} has mode {mode:04o}", path.display()),
            format!("chmod {wanted:o} {}", path.display()),
        ),
        Oddity::Locked { what, pid } => Check::notable(
            "lock",
            match (what.as_str(), pid) {
                ("-bootstrap", Some(pid)) => format!("process {pid} works on the certificates"),
                ("-bootstrap", None) => "a command uses the certificates".to_owned(),
                ("-store-id", _) => "a command uses the store's ID".to_owned(),
                (name, Some(pid)) => format!("process {pid} works on {name}"),
                (name, None) => format!("a command uses {name}"),
            },
            "nothing, unless it has been there for an hour",
        ),
        Oddity::Unswept { path } => Check::notable(
            "crash",
            format!("{} was left half made", path.display()),
            "nothing: the next command that writes there removes it",
        ),
        Oddity::OddName(name) => Check::wrong(
            "machine",
            format!("machines/{name} is no machine's name, and GitLab Runner counts it as one"),
            "move it out of machines/, unless it holds a machine's files",
        ),
    }
}

/// Returns the check line of a machine that cannot be opened.
pub(super) fn unreadable(name: &str, error: &Error) -> Check {
    let subject = format!("machine {name}");
    match error {
        Error::StoredDriver { driver, .. } => Check::notable(
            subject,
            format!("its driver {driver:?} is not in this binary"),
            "use the docker-machine that made it",
        ),
        error => failed(
            subject,
            error,
            &format!(
                "restore its config.json; docker-machine rm -f {name} removes it and what its journal names"
            ),
        ),
    }
}
