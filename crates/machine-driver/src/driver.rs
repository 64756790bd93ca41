//! The driver traits: small, object-safe, and without defaults that pretend.

use std::path::PathBuf;

use async_trait::async_trait;
use machine_ops::Cx;
use machine_types::{MachineName, MachineState, SshEndpoint};
use serde_json::Value;

use crate::{Check, Cloud, CloudKind, DriverError, FlagSpec, Options};

/// What a driver is told about the machine and its place in the store. It opens none of it.
#[derive(Debug, Clone)]
pub struct Base {
    /// The machine's name.
    pub name: MachineName,
    /// The store's root, saved in `config.json` as `StorePath`.
    pub store: PathBuf,
    /// The machine's directory.
    pub directory: PathBuf,
    /// What tells this store from all others, in tags.
    pub store_id: String,
    /// Classic swarm's flags, which `config.json` repeats in the driver's part.
    pub swarm_master: bool,
    /// `--swarm-host`.
    pub swarm_host: String,
    /// `--swarm-discovery`.
    pub swarm_discovery: String,
}

/// Which SSH key a machine gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlan {
    /// None: the driver's machines have no SSH, or the user's own keys and agent serve.
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
        /// Whether the public half must be there: it is needed where it is imported.
        public: bool,
        /// What the private half is called in the machine's directory; the public half is `NAME.pub`.
        name: String,
        /// Whether the copies have the permissions of the user's files, as far as the owner's go; else 0600.
        keeps_modes: bool,
    },
}

/// The public half of the machine's SSH key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMaterial {
    /// In OpenSSH format, `ssh-ed25519 AAAA…`; empty where there is none.
    pub public: String,
}

/// How to reach a machine, as far as the driver knows without asking anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The saved address, which a stopped machine keeps.
    pub address: Option<String>,
    /// `DOCKER_HOST`: the engine's URL, or what the user gave (`none`).
    pub docker_host: Option<String>,
    /// Where and as whom to log in; `None`: the driver has no SSH, or no address yet.
    pub ssh: Option<SshEndpoint>,
    /// The command that restarts the machine over SSH, for a driver that has no other way.
    pub restart_command: Option<&'static str>,
}

/// What to do with a machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start a stopped machine. Repeated calls are fine. The address may be another one afterwards:
    /// [`Cloud::await_address`] learns it.
    Start,
    /// Shut the machine down and wait for it, 40 s at most (the runner kills the command after 60).
    Stop,
    /// Force an immediate power-off.
    Kill,
    /// Ask for a restart. Whether the machine is back, SSH tells; the caller waits for it.
    Restart,
}

/// Makes drivers: what the table in the binary lists.
pub trait DriverKind: Send + Sync {
    /// Returns the name for `--driver` and `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the flags that `create` takes for it.
    fn flags(&self) -> Vec<FlagSpec>;

    /// Makes the driver of a new machine out of the flags. Makes no network call.
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the flag.
    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError>;

    /// Makes the driver of a saved machine out of the `Driver` object of its `config.json`. Makes no network
    /// call, is cheap, and forgives what is missing. Fields it does not know come back from [`Driver::save`].
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the field.
    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError>;

    /// Returns what the kind knows about its cloud; `None` where its drivers have none.
    fn cloud(&self) -> Option<&dyn CloudKind>;
}

/// One machine.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Returns the name for `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the `Driver` object of `config.json`.
    fn save(&self) -> Value;

    /// Returns how to reach the machine. Makes no network call.
    fn access(&self) -> Access;

    /// Returns which SSH key to make. Makes no network call.
    fn key_plan(&self) -> KeyPlan;

    /// Checks everything that can be checked before anything is made, and fills in what follows from
    /// the answers (subnet, image's root device). Called once, before the machine's directory exists.
    ///
    /// # Errors
    /// [`DriverErrorKind::PreCreate`](crate::DriverErrorKind::PreCreate) where the answers rule the machine out, others as they are.
    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Examines, for `doctor`, everything that a create of this machine would build on, each part for itself:
    /// what is wrong with one does not keep the others from being examined. Changes nothing, in the
    /// cloud or in the store.
    async fn examine_plan(&self, cx: &Cx) -> Vec<Check>;

    /// Goes through all that [`Driver::create`] would do, and makes nothing. Called after [`Driver::preflight`].
    /// Returns the plan: a line for each thing that would be made or used, such as `import a key pair`.
    ///
    /// # Errors
    /// What [`Driver::create`] would fail with, as far as the cloud can tell without doing it.
    async fn rehearse(&self, cx: &Cx) -> Result<Vec<String>, DriverError>;

    /// Makes the machine: all resources by [`Cx::step`], ids saved by `cx.journal.save_driver` the moment they are
    /// known. Returns when the launch is certain; the machine may still be starting.
    ///
    /// # Errors
    /// Whatever was made, or may have been, is in the journal. The caller undoes it.
    async fn create(&mut self, key: &KeyMaterial, cx: &Cx) -> Result<(), DriverError>;

    /// Asks for the state.
    ///
    /// # Errors
    /// Where it cannot be asked. A machine that is gone is [`MachineState::Error`] or `NotFound`, as the driver knows.
    async fn state(&self, cx: &Cx) -> Result<MachineState, DriverError>;

    /// Starts, stops, kills or restarts the machine.
    ///
    /// # Errors
    /// `Unsupported`, at once, for what this machine cannot do (stop a spot instance).
    async fn power(&mut self, action: Power, cx: &Cx) -> Result<(), DriverError>;

    /// Returns the machine as its cloud knows it; `None`: the driver makes nothing, so there is nothing to
    /// undo, to label or to wait for.
    fn cloud(&self) -> Option<&dyn Cloud>;

    /// Returns the same as [`Driver::cloud`], to be changed.
    fn cloud_mut(&mut self) -> Option<&mut dyn Cloud>;
}
