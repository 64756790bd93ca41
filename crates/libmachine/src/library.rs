//! The library: a store, the drivers, and the settings from the binary.

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
use crate::journal::ReadOnly;

/// Settings that the binary read once from flags and environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's root.
    pub store: PathBuf,
    /// The shared certificates.
    pub certificates: CertificatePaths,
    /// The organisation of new certificates: `$USER`, else `unknown`.
    pub user: String,
    /// The SSH agent's socket, for machines without their own key.
    pub ssh_agent: Option<PathBuf>,
    /// The user's private keys, for machines without their own key.
    pub user_keys: Vec<PathBuf>,
}

/// Paths of the shared certificates: `--tls-ca-cert` and similar flags, or the files of `certs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePaths {
    /// The directory that new machines store as `CertDir`.
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
        let directory = machine_store::below(store, "certs");
        Self {
            ca: directory.join("ca.pem"),
            ca_key: directory.join("ca-key.pem"),
            client: directory.join("cert.pem"),
            client_key: directory.join("key.pem"),
            directory,
        }
    }
}

/// Context of every use case: a store, the drivers, the clock and the receiver of events. Its constructor opens no
/// file.
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
    /// Creates a library from a store, the drivers, a receiver of events, and a flag that cancels running operations.
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

    /// Sets the fetcher of install scripts for machines that cannot download them.
    #[must_use]
    pub fn with_fetch(mut self, fetch: Arc<dyn FetchScript>) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// Replaces the clock and the random number source; for tests.
    #[must_use]
    pub fn with_ambient(mut self, ambient: Arc<dyn Ambient>) -> Self {
        self.ambient = ambient;
        self
    }

    /// Sets a hook that is called at every interruption point of every step; for tests.
    #[must_use]
    pub fn with_hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.hook = hook;
        self
    }

    /// Replaces the store by another one with the same root; for tests that inject disk faults.
    #[must_use]
    pub fn with_store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Returns the directory of the store, which may not exist.
    pub fn store_root(&self) -> &Path {
        &self.settings.store
    }

    /// Returns the names of all machines, sorted by byte; none if there is no store.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.store.names()?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    /// Returns the names of the available drivers.
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
            exposes_engine: true,
            swarm_master: swarm.master,
            swarm_host: swarm.host.clone(),
            swarm_discovery: swarm.discovery.clone(),
        }
    }

    /// Returns a context for work on a machine, with its journal.
    pub(crate) fn context_over(&self, name: &MachineName, journal: Arc<dyn Journal>) -> Cx {
        Cx {
            journal,
            ..self.context_about(name)
        }
    }

    /// Returns a context for queries about one machine, which may be at work in another process.
    pub(crate) fn context_about(&self, name: &MachineName) -> Cx {
        Cx {
            journal: ReadOnly::of(&self.store, name),
            events: Arc::new(OfMachine {
                machine: name.to_string(),
                told: self.events.clone(),
            }),
            ..self.context()
        }
    }

    /// Returns a context for queries, which leave no record.
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

/// Returns whether the store has no machine of this name, not even a broken one.
pub fn is_unknown(library: &Library, name: &str) -> bool {
    match name.parse::<MachineName>() {
        Ok(name) => !library.store.exists(&name),
        Err(_) => true,
    }
}

/// Returns whether another process is at work on a machine, such as its create.
pub fn is_in_use(library: &Library, name: &str) -> bool {
    let name = name.parse::<MachineName>();
    name.is_ok_and(|name| library.store.holder(&name).is_some())
}

/// Returns whether the store is at the place where its ID was made, with its own `machines/`. Otherwise a missing machine
/// proves nothing: its disk may not be mounted.
pub fn is_in_place(library: &Library) -> bool {
    let identity = library.store.identity().ok().flatten();
    identity.is_some_and(|identity| identity.current.is_some())
}

/// Returns the names of the machines with a readable configuration, sorted by byte.
///
/// # Errors
/// Same as [`Library::names`].
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
