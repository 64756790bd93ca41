//! An opened machine of the store: its record and its driver.

use std::path::PathBuf;
use std::time::Duration;

use machine_driver::{Driver, DriverError, DriverErrorKind};
use machine_ops::Cx;
use machine_ssh::{Credentials, HostKeys};
use machine_store::{MachineFile, MachineLock, MachineRecord, StoreError};
use machine_types::{DockerUrl, MachineName, MachineState, SshEndpoint};
use serde_json::Value;

use crate::journal::Remembering;
use crate::{Error, Library};

/// Timeout of the wait for another command's lock on the same machine. GitLab Runner kills a `stop` after 60 s, and the
/// stop itself takes 40 s.
const LOCK: Duration = Duration::from_secs(10);

/// An opened machine of the store. Opening makes no network call.
pub struct Machine {
    pub(crate) name: MachineName,
    pub(crate) record: MachineRecord,
    pub(crate) driver: Box<dyn Driver>,
}

/// Returns whether an error reports that a machine no longer exists.
pub(crate) fn is_gone(error: &DriverError) -> bool {
    matches!(
        error.kind,
        DriverErrorKind::NotFound | DriverErrorKind::Ended | DriverErrorKind::Capacity
    )
}

/// Adds a hint to the error of a machine that no longer exists.
pub(crate) fn with_removal(name: &MachineName, error: DriverError) -> DriverError {
    match is_gone(&error) && error.hint.is_none() {
        true => error.with_hint(format!(
            "docker-machine rm {name} removes what is left of it"
        )),
        false => error,
    }
}

/// An opened and locked machine with its journal.
pub(crate) struct Work {
    pub(crate) machine: Machine,
    pub(crate) lock: MachineLock,
    pub(crate) cx: Cx,
}

impl Machine {
    /// Returns the name.
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Returns the record: the contents of `config.json`.
    pub fn record(&self) -> &MachineRecord {
        &self.record
    }

    /// Returns the saved address, which a stopped machine keeps.
    pub fn address(&self) -> Option<String> {
        self.driver.saved_address()
    }

    /// Returns whether the user made the machine's server: the driver only logs in to it.
    pub fn is_of_the_user(&self) -> bool {
        self.driver.cloud().is_none() && self.driver.ssh().is_some()
    }

    /// Fails if the machine belongs to a pool: its engine has no TLS and no network port.
    pub(crate) fn has_tls(&self) -> Result<(), Error> {
        match &self.record.pool {
            None => Ok(()),
            Some(pool) => Err(Error::OfPool {
                name: self.name.to_string(),
                pool: pool.name.clone(),
            }),
        }
    }

    /// Returns the URL of the swarm whose master this machine is.
    pub(crate) fn swarm_url(&self) -> Option<String> {
        let swarm = &self.record.host_options.swarm_options;
        if !swarm.master {
            return None;
        }
        let port = DockerUrl::parse(&swarm.host)?.port;
        let host = DockerUrl::parse(&self.driver.docker_host()?)?.host;
        Some(DockerUrl { host, port }.to_string())
    }
}

impl Library {
    /// Opens a machine.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`], [`Error::StoredDriver`], or an error about an invalid `config.json`.
    pub async fn open(&self, name: &str) -> Result<Machine, Error> {
        let record = self.record(name).await?;
        let name: MachineName = name.parse().map_err(|_| Error::NotFound(name.to_owned()))?;
        self.open_record(name, record)
    }

    /// Reads a machine's record without its driver, which this binary may not include.
    ///
    /// # Errors
    /// Returns [`Error::NotFound`], or an error about an invalid `config.json`.
    pub async fn record(&self, name: &str) -> Result<MachineRecord, Error> {
        let not_found = || Error::NotFound(name.to_owned());
        let name: MachineName = name.parse().map_err(|_| not_found())?;
        match self.store.load(&name, &self.context()).await {
            Err(StoreError::NotFound { .. }) => Err(not_found()),
            loaded => Ok(loaded?),
        }
    }

    pub(crate) fn open_record(
        &self,
        name: MachineName,
        record: MachineRecord,
    ) -> Result<Machine, Error> {
        let driver = self.load_driver(&name, &record, self.store_id())?;
        Ok(Machine {
            name,
            record,
            driver,
        })
    }

    /// Returns the driver of a machine's record.
    pub(crate) fn load_driver(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        store_id: String,
    ) -> Result<Box<dyn Driver>, Error> {
        let kind = self
            .kind(&record.driver_name)
            .map_err(|_| Error::StoredDriver {
                driver: record.driver_name.clone(),
                known: self.driver_names(),
            })?;
        let swarm = &record.host_options.swarm_options;
        Ok(kind.load(&self.base(name, swarm, store_id), &record.driver)?)
    }

    /// Returns the store's ID. Does not create one; an empty ID tags nothing.
    pub(crate) fn store_id(&self) -> String {
        match self.store.id() {
            Ok(Some(id)) => id.as_str().to_owned(),
            _ => String::new(),
        }
    }

    /// Opens and locks a machine for changes.
    pub(crate) async fn open_for_work(&self, name: &str) -> Result<Work, Error> {
        let not_found = || Error::NotFound(name.to_owned());
        let parsed: MachineName = name.parse().map_err(|_| not_found())?;
        if !self.store.exists(&parsed) {
            return Err(not_found());
        }
        let lock = self
            .store
            .lock_machine(&parsed, LOCK, &self.context())
            .await?;
        // Opened under the lock: earlier data may be out of date.
        let machine = self.open(name).await?;
        let cx = self.context_over(&parsed, Remembering::over(self.store.journal(&lock)));
        Ok(Work { machine, lock, cx })
    }

    /// Saves the data that the driver has updated.
    pub(crate) fn save(&self, work: &mut Work) -> Result<(), Error> {
        work.machine.record.driver = work.machine.driver.save();
        match self.store.save(&work.lock, &work.machine.record) {
            // A later docker-machine wrote the file: leave it unchanged.
            Err(StoreError::Newer { .. }) => Ok(()),
            saved => Ok(saved?),
        }
    }
}

/// Returns the output of `inspect`: the record without unknown fields, and the driver's part as the driver writes it.
/// For an unknown driver only its name, as in the Go binary.
///
/// # Errors
/// Same as [`Library::open`], except for an unknown driver.
pub async fn inspect(library: &Library, name: &str) -> Result<Value, Error> {
    let not_found = || Error::NotFound(name.to_owned());
    let parsed: MachineName = name.parse().map_err(|_| not_found())?;
    let mut record = library.record(name).await?;
    record.driver = match library.load_driver(&parsed, &record, library.store_id()) {
        Ok(driver) => driver.save(),
        Err(Error::StoredDriver { driver, .. }) => serde_json::json!({ "Name": driver }),
        Err(error) => return Err(error),
    };
    record.forget_unknown();
    Ok(serde_json::to_value(&record).unwrap_or_default())
}

/// Queries a machine's state.
///
/// # Errors
/// Returns the driver's error.
pub async fn state(library: &Library, machine: &Machine) -> Result<MachineState, Error> {
    let cx = library.context_about(&machine.name).for_reading();
    Ok(machine.driver.state(&cx).await?.state)
}

pub(crate) fn credentials(library: &Library, endpoint: &SshEndpoint) -> Credentials {
    Credentials::of(
        endpoint,
        library.settings.ssh_agent.as_deref(),
        &library.settings.user_keys,
    )
}

pub(crate) fn host_keys(library: &Library, name: &MachineName) -> HostKeys {
    HostKeys::PinAtFirstContact(host_key_file(library, name))
}

pub(crate) fn host_key_file(library: &Library, name: &MachineName) -> PathBuf {
    library.store.file(name, MachineFile::KnownHosts)
}
