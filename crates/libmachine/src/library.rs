//! The library: a store, the drivers, and the world that the binary handed in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use machine_driver::{Base, DriverKind};
use machine_ops::{
    Ambient, Cancel, Cx, Events, Hook, Journal, MemoryJournal, OfMachine, SystemAmbient,
};
use machine_provision::FetchScript;
use machine_store::{Store, SwarmOptions};
use machine_types::MachineName;

use crate::Error;
use crate::certificates::issue::Identities;

/// What the binary read out of flags and environment, once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's root.
    pub store: PathBuf,
    /// The shared certificates.
    pub certificates: CertificatePaths,
    /// The organisation of new certificates: `$USER`, else `unknown`.
    pub user: String,
    /// The SSH agent's socket, for machines without a key of their own.
    pub ssh_agent: Option<PathBuf>,
    /// The user's own private keys, for the same.
    pub user_keys: Vec<PathBuf>,
}

/// The files of the shared certificates: `--tls-ca-cert` and its like, or those of `certs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePaths {
    /// The directory that new machines remember as `CertDir`.
    pub directory: PathBuf,
    /// The CA's certificate.
    pub ca: PathBuf,
    /// The CA's private key.
    pub ca_key: PathBuf,
    /// The client's certificate.
    pub client: PathBuf,
    /// The client's private key.
    pub client_key: PathBuf,
}

impl CertificatePaths {
    /// Returns the files of a store's own `certs/`.
    pub fn of_store(store: &Path) -> Self {
        let directory = store.join("certs");
        Self {
            ca: directory.join("ca.pem"),
            ca_key: directory.join("ca-key.pem"),
            client: directory.join("cert.pem"),
            client_key: directory.join("key.pem"),
            directory,
        }
    }
}

/// What every use case works with: a store, the drivers, the clock and the receiver of events. Cheap to make; opens
/// no file.
pub struct Library {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) kinds: Vec<Arc<dyn DriverKind>>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) cancel: Cancel,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) hook: Arc<dyn Hook>,
    pub(crate) fetch: Option<Arc<dyn FetchScript>>,
    pub(crate) identities: Identities,
}

impl Library {
    /// Puts a library together: a store, the table of drivers, somebody to tell, and a flag to
    /// cancel whatever is going on.
    pub fn new(
        settings: Settings,
        kinds: Vec<Arc<dyn DriverKind>>,
        events: Arc<dyn Events>,
        cancel: Cancel,
    ) -> Self {
        let ambient: Arc<dyn Ambient> = Arc::new(SystemAmbient::new());
        Self {
            store: Store::new(settings.store.clone(), ambient.clone()),
            settings,
            kinds,
            ambient,
            cancel,
            events,
            hook: Arc::new(()),
            fetch: None,
            identities: Identities::default(),
        }
    }

    /// Puts somebody in who fetches install scripts for machines that cannot.
    #[must_use]
    pub fn with_fetch(mut self, fetch: Arc<dyn FetchScript>) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// Puts another clock and other dice in: for tests.
    #[must_use]
    pub fn with_ambient(mut self, ambient: Arc<dyn Ambient>) -> Self {
        self.ambient = ambient;
        self
    }

    /// Puts a hook in at every cut of every step: for tests.
    #[must_use]
    pub fn with_hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.hook = hook;
        self
    }

    /// Puts another store in, over the same root: for tests that make its disk fail.
    #[must_use]
    pub fn with_store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Returns the directory of the store, which need not be there.
    pub fn store_root(&self) -> &Path {
        &self.settings.store
    }

    /// Returns the names of all machines, sorted by byte. No store is no machines.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.store.names()?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    /// Returns the drivers that there are.
    pub fn driver_names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.name()).collect()
    }

    pub(crate) fn kind(&self, driver: &str) -> Result<&Arc<dyn DriverKind>, Error> {
        self.kinds
            .iter()
            .find(|kind| kind.name() == driver)
            .ok_or_else(|| Error::UnknownDriver {
                driver: driver.to_owned(),
                known: self.driver_names(),
            })
    }

    pub(crate) fn base(&self, name: &MachineName, swarm: &SwarmOptions, store_id: String) -> Base {
        Base {
            name: name.clone(),
            store: self.settings.store.clone(),
            directory: self.store.directory(name),
            store_id,
            swarm_master: swarm.master,
            swarm_host: swarm.host.clone(),
            swarm_discovery: swarm.discovery.clone(),
        }
    }

    /// Makes a context for work on a machine, over its journal.
    pub(crate) fn context_over(&self, name: &MachineName, journal: Arc<dyn Journal>) -> Cx {
        Cx {
            journal,
            ..self.context_about(name)
        }
    }

    /// Makes a context for questions about one machine.
    pub(crate) fn context_about(&self, name: &MachineName) -> Cx {
        Cx {
            events: Arc::new(OfMachine {
                machine: name.to_string(),
                told: self.events.clone(),
            }),
            ..self.context()
        }
    }

    /// Makes a context for what leaves no record: questions.
    pub(crate) fn context(&self) -> Cx {
        Cx {
            ambient: self.ambient.clone(),
            cancel: self.cancel.clone(),
            events: self.events.clone(),
            journal: Arc::<MemoryJournal>::default(),
            hook: self.hook.clone(),
            queues: None,
        }
    }
}

/// Tells whether the store has no machine by a name, not even a broken one.
pub fn is_unknown(library: &Library, name: &str) -> bool {
    match name.parse::<MachineName>() {
        Ok(name) => !library.store.exists(&name),
        Err(_) => true,
    }
}

/// Returns the names of the machines whose configuration can be read, sorted by byte.
///
/// # Errors
/// As [`Library::names`].
pub async fn sound_names(library: &Library) -> Result<Vec<String>, Error> {
    let mut sound = Vec::new();
    for name in library.store.names()? {
        let text = name.to_string();
        if library.store.is_plainly_sound(&name) || library.record(&text).await.is_ok() {
            sound.push(text);
        }
    }
    Ok(sound)
}
