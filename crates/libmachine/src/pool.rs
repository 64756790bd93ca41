//! Pools: machines that a fleeting plugin keeps. Their engines have no TLS and no network port.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine_driver::Addresses;
use machine_store::{PoolLock, StoreError};
use machine_types::{MachineState, Secret, one_line};
use serde::{Deserialize, Serialize};

use crate::list::{Query, states};
use crate::machine::Machine;
use crate::{Error, Library};

/// A machine of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The machine's name.
    pub name: String,
    /// Its record.
    pub stage: Stage,
}

/// What the record of a pool's machine tells about its create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It has finished.
    Ready,
    /// It was interrupted, or is running.
    HalfMade,
    /// The record cannot be read, for this reason: the machine may be in use.
    Unreadable(String),
}

/// Takes the lock of a pool, and waits for it: another plugin may be about to end. It is released when the result is
/// dropped.
///
/// # Errors
/// [`Error::PoolKept`] if another process still holds it after `within`; disk errors.
pub async fn lock_pool(library: &Library, pool: &str, within: Duration) -> Result<PoolLock, Error> {
    match library
        .store
        .lock_pool(pool, within, &library.context())
        .await
    {
        Err(StoreError::Locked { pid, .. }) => Err(Error::PoolKept {
            pool: pool.to_owned(),
            pid,
        }),
        locked => Ok(locked?),
    }
}

/// Lists the machines of a pool. A machine whose record is missing or cannot be read is listed if `is_meant` accepts its
/// name.
///
/// # Errors
/// Fails if the store cannot be read.
pub async fn pool_members(
    library: &Library,
    pool: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for name in library.names()? {
        let stage = match library.record(&name).await {
            Ok(record) => match record.pool {
                Some(member) if member.name == pool && member.ready => Stage::Ready,
                Some(member) if member.name == pool => Stage::HalfMade,
                _ => continue,
            },
            Err(_) if !is_meant(&name) => continue,
            Err(Error::NotFound(_)) => continue,
            // A create writes the record before anything else.
            Err(Error::Store(StoreError::ConfigMissing { .. } | StoreError::Empty { .. })) => {
                Stage::HalfMade
            }
            Err(error) => Stage::Unreadable(one_line(error)),
        };
        members.push(Member { name, stage });
    }
    Ok(members)
}

/// The state of a machine of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberState {
    /// Its state and addresses, from the cloud.
    Known(MachineState, Addresses),
    /// It has ended, with the reason.
    Ended(String),
    /// The cloud does not know it. A cloud may miss an existing machine for minutes.
    Missing(String),
    /// There is no answer about it, for this reason.
    Unknown(String),
}

/// Queries the states of machines, with one call for all of a cloud's place where possible. Returns a state for each.
pub async fn member_states(
    library: &Library,
    names: &BTreeSet<String>,
    timeout: Duration,
) -> BTreeMap<String, MemberState> {
    let silent = format!("no answer within {} s", timeout.as_secs());
    let mut found: BTreeMap<String, MemberState> = names
        .iter()
        .map(|name| (name.clone(), MemberState::Unknown(silent.clone())))
        .collect();
    let mut machines: Vec<Machine> = Vec::new();
    for name in names {
        match library.open(name).await {
            Ok(machine) => machines.push(machine),
            Err(error) => drop(found.insert(name.clone(), MemberState::Unknown(one_line(error)))),
        }
    }
    for (index, state) in states(library, &machines, Query::Store, timeout).await {
        let state = match state {
            Ok(status) => MemberState::Known(status.state, status.addresses.unwrap_or_default()),
            Err(why) if why.is_missing => MemberState::Missing(why.text),
            Err(why) if why.is_gone => MemberState::Ended(why.text),
            Err(why) => MemberState::Unknown(why.text),
        };
        found.insert(machines[index].name.to_string(), state);
    }
    found
}

/// How to log in to a machine of a pool.
pub struct MemberAccess {
    /// The login name.
    pub user: String,
    /// The port of sshd.
    pub port: u16,
    /// The private key, in OpenSSH's format or PEM.
    pub key: Secret,
    /// All known addresses.
    pub addresses: Addresses,
    /// The processor architecture in Go's terms; `None` if unknown.
    pub architecture: Option<&'static str>,
}

/// Returns how to log in to a machine, from the store. Makes no network call.
///
/// # Errors
/// [`Error::NotFound`]; the machine has no address yet, or its key cannot be read.
pub async fn member_access(library: &Library, name: &str) -> Result<MemberAccess, Error> {
    let machine = library.open(name).await?;
    let access = machine.driver.access();
    let ssh = access
        .ssh
        .ok_or_else(|| Error::NoAddress(name.to_owned()))?;
    let key = match &ssh.key {
        Some(path) => Secret::new(library.store.read_text(path)?),
        None => Secret::default(),
    };
    Ok(MemberAccess {
        user: ssh.user,
        port: ssh.port,
        key,
        addresses: access.addresses,
        architecture: access.architecture,
    })
}
