//! A machine of the store, opened: its record and its driver.

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

/// How long a command waits for another one that works on the same machine. The runner kills a
/// `stop` after 60 s, which itself takes 40.
const LOCK: Duration = Duration::from_secs(10);

/// A machine of the store, opened. Nobody was asked anything yet.
pub struct Machine {
    pub(crate) name: MachineName,
    pub(crate) record: MachineRecord,
    pub(crate) driver: Box<dyn Driver>,
}

/// Tells whether an error says that a machine is no more.
pub(crate) fn is_gone(error: &DriverError) -> bool {
    matches!(
        error.kind,
        DriverErrorKind::NotFound | DriverErrorKind::Ended | DriverErrorKind::Capacity
    )
}

/// Adds the way out to the error of a machine that is no more.
pub(crate) fn with_removal(name: &MachineName, error: DriverError) -> DriverError {
    match is_gone(&error) && error.hint.is_none() {
        true => error.with_hint(format!(
            "docker-machine rm {name} removes what is left of it"
        )),
        false => error,
    }
}

/// A machine that is being worked on: opened, locked, and with its journal.
pub(crate) struct Work {
    pub(crate) machine: Machine,
    pub(crate) lock: MachineLock,
    pub(crate) cx: Cx,
}

impl Machine {
    /// Returns its name.
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Returns its record: what `config.json` holds.
    pub fn record(&self) -> &MachineRecord {
        &self.record
    }

    /// Returns the saved address, which a stopped machine keeps.
    pub fn address(&self) -> Option<String> {
        self.driver.saved_address()
    }

    /// Tells whether the machine is a server that the user made: its driver logs in there and makes none.
    pub fn is_of_the_user(&self) -> bool {
        self.driver.cloud().is_none() && self.driver.ssh().is_some()
    }

    /// Returns the URL of the swarm whose master this is.
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
    /// [`Error::NotFound`], [`Error::StoredDriver`], or what is wrong with its `config.json`.
    pub async fn open(&self, name: &str) -> Result<Machine, Error> {
        let record = self.record(name).await?;
        let name: MachineName = name.parse().map_err(|_| Error::NotFound(name.to_owned()))?;
        self.open_record(name, record)
    }

    /// Reads a machine's record without its driver, which this binary may not have.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what is wrong with its `config.json`.
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

    /// Returns the store's id. Reading makes none: an empty one tags nothing.
    pub(crate) fn store_id(&self) -> String {
        match self.store.id() {
            Ok(Some(id)) => id.as_str().to_owned(),
            _ => String::new(),
        }
    }

    /// Opens a machine and takes the right to change it.
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
        // Opened under the lock: what was true before it may be long gone.
        let machine = self.open(name).await?;
        let cx = self.context_over(&parsed, Remembering::over(self.store.journal(&lock)));
        Ok(Work { machine, lock, cx })
    }

    /// Writes what the driver has learnt.
    pub(crate) fn save(&self, work: &mut Work) -> Result<(), Error> {
        work.machine.record.driver = work.machine.driver.save();
        match self.store.save(&work.lock, &work.machine.record) {
            // A later docker-machine wrote it; its file is left as it is.
            Err(StoreError::Newer { .. }) => Ok(()),
            saved => Ok(saved?),
        }
    }
}

/// Returns what `inspect` shows: the record without unknown fields, and the driver's part as the
/// driver would write it. Of an unknown driver that is its name alone, as in the Go binary.
///
/// # Errors
/// As [`Library::open`], but for an unknown driver.
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

/// Asks for a machine's state.
///
/// # Errors
/// The driver's.
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
