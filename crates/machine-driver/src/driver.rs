//! The driver traits: small and object-safe. Defaults never report success for work that was not done.

use std::path::PathBuf;

use async_trait::async_trait;
use machine_ops::Cx;
use machine_types::{MachineName, SshEndpoint};
use serde_json::Value;

use crate::{Addresses, Check, Cloud, CloudKind, DriverError, FlagSpec, Options, Status};

/// The information for a driver about the machine and its directory in the store. The driver opens none of these
/// paths.
#[derive(Debug, Clone)]
pub struct Base {
    /// The machine's name.
    pub name: MachineName,
    /// The store's root, saved in `config.json` as `StorePath`.
    pub store: PathBuf,
    /// The machine's directory.
    pub directory: PathBuf,
    /// The store's id, used in tags.
    pub store_id: String,
    /// Whether clients reach the engine over the network. Only [`DriverKind::configure`] needs it, for firewall rules.
    pub exposes_engine: bool,
    /// Classic swarm's flags, which `config.json` repeats in the driver's part.
    pub swarm_master: bool,
    /// `--swarm-host`.
    pub swarm_host: String,
    /// `--swarm-discovery`.
    pub swarm_discovery: String,
}

/// The SSH key of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlan {
    /// None: the driver's machines have no SSH, or use the user's own keys and agent.
    Nothing,
    /// A new pair, written to `id_rsa` and `id_rsa.pub` of the machine's directory.
    Generate {
        /// `ed25519` or `rsa`.
        algorithm: String,
    },
    /// A copy of the user's key; the public half is `FILE.pub`.
    Copy {
        /// The private key's file.
        private: PathBuf,
        /// Whether the public half is required: it is needed for an import.
        public: bool,
        /// The name of the private half in the machine's directory; the public half is `NAME.pub`.
        name: String,
        /// Whether the copies keep the owner permissions of the user's files; else 0600.
        keeps_modes: bool,
    },
}

/// The public half of the machine's SSH key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMaterial {
    /// In OpenSSH format, `ssh-ed25519 AAAA…`; empty if there is none.
    pub public: String,
}

/// The addresses of a machine, as far as the driver knows them without a network call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The saved address, which a stopped machine keeps.
    pub address: Option<String>,
    /// `DOCKER_HOST`: the engine's URL, or the user's value (`none`).
    pub docker_host: Option<String>,
    /// The SSH address and login name; `None`: the driver has no SSH, or no address yet.
    pub ssh: Option<SshEndpoint>,
    /// The command that restarts the machine over SSH, for a driver without another way.
    pub restart_command: Option<&'static str>,
    /// All saved addresses.
    pub addresses: Addresses,
    /// The processor architecture in Go's terms, such as `amd64` and `arm64`; `None` if unknown.
    pub architecture: Option<&'static str>,
}

/// What a create would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// A line for each resource that would be created or used, such as `import a key pair`.
    pub steps: Vec<String>,
    /// Where and on which terms, by keys in snake case: `("region", "us-east-1")`. A key that does not apply is missing.
    pub facts: Vec<(&'static str, String)>,
}

impl Plan {
    /// Returns a plan of one step.
    pub fn of_step(step: impl Into<String>) -> Self {
        Self {
            steps: vec![step.into()],
            facts: Vec::new(),
        }
    }
}

/// A power action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start a stopped machine. Idempotent. The address may change: [`Cloud::await_address`] updates it.
    Start,
    /// Shut the machine down and wait until it has stopped, 40 s at most (the runner kills the command after 60).
    Stop,
    /// Force an immediate power-off.
    Kill,
    /// Request a restart. The caller waits for SSH to learn whether the machine is up again.
    Restart,
}

/// A kind of driver, an entry of the binary's driver table. It makes drivers.
pub trait DriverKind: Send + Sync {
    /// Returns the name for `--driver` and `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the flags that `create` accepts for it.
    fn flags(&self) -> Vec<FlagSpec>;

    /// Returns command lines of `create`, for its help.
    fn examples(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns other names by which users may call the driver, in lower case. They are not accepted: error messages
    /// suggest the driver for them.
    fn other_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns flags, each with the names by which users may call it, all without the prefix of the driver. They are
    /// not accepted: error messages suggest the flag for them.
    fn flag_synonyms(&self) -> &'static [(&'static str, &'static [&'static str])] {
        &[]
    }

    /// Makes the driver of a new machine from the flags. Makes no network call.
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the flag.
    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError>;

    /// Makes the driver of a saved machine from the `Driver` object of its `config.json`. Makes no network call, is
    /// cheap, and tolerates missing fields. Unknown fields are returned by [`Driver::save`].
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the field.
    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError>;

    /// Returns the kind's cloud interface; `None` if its drivers have no cloud.
    fn cloud(&self) -> Option<&dyn CloudKind>;
}

/// One machine.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Returns the name for `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the `Driver` object of `config.json`.
    fn save(&self) -> Value;

    /// Returns the addresses of the machine. Makes no network call.
    fn access(&self) -> Access;

    /// Returns the SSH key to make. Makes no network call.
    fn key_plan(&self) -> KeyPlan;

    /// Checks everything that can be checked before any resource is created, and fills in values from the answers
    /// (subnet, image's root device). Called once, before the machine's directory exists.
    ///
    /// # Errors
    /// [`DriverErrorKind::PreCreate`](crate::DriverErrorKind::PreCreate) where the answers rule the machine out;
    /// other errors unchanged.
    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Checks everything that a create of this machine depends on, for `doctor`. The checks are independent: a failed
    /// one does not prevent the others. Changes nothing, in the cloud or in the store.
    async fn examine_plan(&self, cx: &Cx) -> Vec<Check>;

    /// Simulates [`Driver::create`] without creating anything. Called after [`Driver::preflight`].
    ///
    /// # Errors
    /// The errors of [`Driver::create`], as far as the cloud can predict them.
    async fn rehearse(&self, cx: &Cx) -> Result<Plan, DriverError>;

    /// Creates the machine: all resources by [`Cx::step`], ids saved by `cx.journal.save_driver` as soon as they are
    /// known. Returns when the launch is certain; the machine may still be starting.
    ///
    /// # Errors
    /// The journal has every resource that was created, or may have been. The caller undoes them.
    async fn create(&mut self, key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError>;

    /// Queries the state, and the addresses if the same answer holds them.
    ///
    /// # Errors
    /// The state cannot be queried. A machine that is gone is
    /// [`MachineState::Error`](machine_types::MachineState::Error) or `NotFound`, depending on the driver.
    async fn state(&self, cx: &Cx) -> Result<Status, DriverError>;

    /// Starts, stops, kills or restarts the machine.
    ///
    /// # Errors
    /// `Unsupported`, at once, for actions that this machine does not support (stop a spot instance).
    async fn power(&mut self, action: Power, cx: &Cx) -> Result<(), DriverError>;

    /// Returns the machine's cloud interface; `None`: the driver creates no resources, so there is nothing to undo,
    /// to label or to wait for.
    fn cloud(&self) -> Option<&dyn Cloud>;

    /// Returns [`Driver::cloud`] for modification.
    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud>;
}
