//! The driver trait: small, object-safe, and without defaults that pretend.

use std::path::PathBuf;

use async_trait::async_trait;
use machine_ops::{Cx, Entry, Resource, Scope, Undone};
use machine_types::{DockerUrl, MachineName, MachineState, SshEndpoint};
use serde_json::Value;

use crate::{Check, DriverError, FlagSpec, Options};

/// What GitLab Runner looks for on standard error, to ask no more (`ErrLabelsNotSupported` in its `helpers/docker`).
pub const LABELS_NOT_SUPPORTED: &str = "driver does not support labels";

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

/// How a restart goes on, once a driver was asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The cloud does it.
    Asked,
    /// The caller runs this command over SSH: the driver has no other way.
    Command(&'static str),
}

/// Something that carries an owner's tags, and that this program made. Whose it is, the caller decides.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    /// What it is, so that the same undo removes it.
    pub resource: Resource,
    /// The id of the store that it was made for, by its tag.
    pub store: Option<String>,
    /// The id of the machine that it was made for, by its tag: see [`Driver::owner_ids`].
    pub owner_id: Option<String>,
    /// Its own name, as the cloud's console shows it.
    pub name: String,
    /// The machine's name: what its key pair is called, else what its tags say.
    pub machine: String,
    /// Whether the key pair says so. A tag `Name` is the user's, and may name any machine.
    pub is_named_by_key_pair: bool,
    /// Its state, in the cloud's words.
    pub state: String,
    /// When it was made, Unix time in milliseconds.
    pub created: u64,
    /// The last sign of use, Unix time in milliseconds; `None`: the cloud does not tell, and the caller has to
    /// remember since when it has seen it unused.
    pub used: Option<u64>,
}

/// Whose left-overs `prune` asks for.
#[derive(Debug, Clone, Copy)]
pub struct OwnedBy<'a> {
    /// The id of one store, as its resources carry it in their tag; `None`: those of any store.
    pub store: Option<&'a str>,
    /// Tags of the user's that a resource must carry besides, all of them. Values are literal.
    pub tags: &'a [(String, String)],
    /// The account in which this store's machines are, where that is on record.
    pub account: Option<&'a str>,
}

/// Makes drivers: what the table in the binary lists.
#[async_trait]
pub trait DriverKind: Send + Sync {
    /// Returns the name for `--driver` and `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the flags that `create` takes for it.
    fn flags(&self) -> Vec<FlagSpec>;

    /// Makes the driver of a new machine out of the flags. Asks nobody.
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the flag.
    fn configure(&self, base: &Base, options: &Options) -> Result<Box<dyn Driver>, DriverError>;

    /// Makes the driver of a saved machine out of the `Driver` object of its `config.json`. Asks nobody,
    /// is cheap, and forgives what is missing. Fields it does not know come back from [`Driver::save`].
    ///
    /// # Errors
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) names the field.
    fn load(&self, base: &Base, saved: &Value) -> Result<Box<dyn Driver>, DriverError>;

    /// Asks for the states of many machines with as few calls as can be; the answers are in the
    /// order of `drivers`, which are all of this kind.
    async fn states(
        &self,
        drivers: &[&dyn Driver],
        cx: &Cx,
    ) -> Vec<Result<MachineState, DriverError>>;

    /// Examines, for `doctor`, the ways to the clouds of many machines: credentials, account, region, each
    /// way once. The drivers are all of this kind; one without a cloud has nothing to examine. Changes nothing.
    async fn examine_access(&self, drivers: &[&dyn Driver], cx: &Cx) -> Vec<Check>;

    /// Lists, for `prune`, what carries an owner's tags in the place of one machine. A driver that makes
    /// nothing lists nothing.
    ///
    /// # Errors
    /// Where the place cannot be asked, or is in another account than the one on record: what is not
    /// found there may well be somewhere else. Where an answer holds something without the tags that were
    /// asked for: nothing in that answer can be relied on.
    async fn left_behind(
        &self,
        driver: &dyn Driver,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError>;
}

/// One machine.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Returns the name for `DriverName`.
    fn name(&self) -> &'static str;

    /// Returns the `Driver` object of `config.json`.
    fn save(&self) -> Value;

    /// Returns the object as it is, for drivers of the same kind ([`DriverKind::states`]).
    fn as_any(&self) -> &dyn std::any::Any;

    /// Checks everything that can be checked before anything is made, and fills in what follows from
    /// the answers (subnet, image's root device). Called once, before the machine's directory exists.
    ///
    /// # Errors
    /// [`DriverErrorKind::PreCreate`](crate::DriverErrorKind::PreCreate) where EC2's answer rules the machine out, others as they are.
    async fn preflight(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Examines, for `doctor`, everything that a create of this machine would build on, each part for itself:
    /// what is wrong with one does not keep the others from being looked at. Changes nothing, at the
    /// cloud or in the store.
    async fn examine_plan(&self, cx: &Cx) -> Vec<Check>;

    /// Says which SSH key to make. Asks nobody.
    fn key_plan(&self) -> KeyPlan;

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

    /// Launches the machine somewhere else, after it ended for want of capacity while it was coming up:
    /// `ended` is what [`Driver::await_address`] or [`Driver::ended`] said, of the kind
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity). What ended is certainly gone, and off
    /// the record, before anything else is made. `false`: there is nowhere else to go, and nothing was done.
    ///
    /// # Errors
    /// As [`Driver::create`].
    async fn relaunch(&mut self, ended: &DriverError, cx: &Cx) -> Result<bool, DriverError>;

    /// Waits until the machine has an address to connect to, and keeps it. At once where it is known.
    ///
    /// # Errors
    /// [`DriverErrorKind::Ended`](crate::DriverErrorKind::Ended) with the cloud's reason, or
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity) where it is want of capacity; a wait that ran out.
    async fn await_address(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Looks once whether the machine has ended by itself (terminated, reclaimed, failed), so that it can
    /// never come up any more. A look that fails says nothing about the machine: `None`.
    async fn ended(&self, cx: &Cx) -> Option<DriverError>;

    /// Returns more about a machine that does not answer: the tail of its console, where that may be read.
    async fn diagnose(&self, cx: &Cx) -> Option<String>;

    /// Asks for the state.
    ///
    /// # Errors
    /// Where it cannot be asked. A machine that is gone is [`MachineState::Error`] or `NotFound`, as the driver knows.
    async fn state(&self, cx: &Cx) -> Result<MachineState, DriverError>;

    /// Returns the saved address, if there is one. Asks nobody.
    fn saved_address(&self) -> Option<String>;

    /// Returns the engine's saved address as a URL, if there is one. Asks nobody.
    fn docker_url(&self) -> Option<DockerUrl>;

    /// Returns `DOCKER_HOST` for the machine: [`Driver::docker_url`], or what the user gave (`none`). Asks nobody.
    fn docker_host(&self) -> Option<String>;

    /// Returns where and as whom to log in; `None`: the driver has no SSH, or no address yet. Asks nobody.
    fn ssh(&self) -> Option<SshEndpoint>;

    /// Starts a stopped machine. Repeated calls are fine. The address may be another one afterwards:
    /// [`Driver::await_address`] learns it.
    ///
    /// # Errors
    /// `Unsupported` where there is nothing to start.
    async fn start(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Shuts the machine down and waits for it, 40 s at most (the runner kills the command after 60).
    ///
    /// # Errors
    /// `Unsupported` for what cannot be stopped (a spot instance), at once.
    async fn stop(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Pulls the plug.
    ///
    /// # Errors
    /// As [`Driver::stop`].
    async fn kill(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Asks for a restart. Whether the machine is back, SSH tells; the caller waits for it.
    ///
    /// # Errors
    /// As [`Driver::start`].
    async fn restart(&mut self, cx: &Cx) -> Result<Restart, DriverError>;

    /// Sets labels on the machine in the cloud (EC2 calls them tags), beside those that it has; one of the same
    /// key gets the new value. GitLab Runner's heartbeat is one.
    ///
    /// # Errors
    /// [`LABELS_NOT_SUPPORTED`] of the kind `Unsupported` for a driver whose machines carry none;
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) for a key that the driver itself goes by.
    async fn set_labels(&self, labels: &[(String, String)], cx: &Cx) -> Result<(), DriverError>;

    /// Says where the machine's resources are.
    fn scope(&self) -> Scope;

    /// Returns the key of the tag that says which store owns a resource of this machine; `None`: they carry none.
    fn owner_tag(&self) -> Option<String>;

    /// Returns the ids that resources of this machine carry in a tag, as its configuration and its journal tell:
    /// whatever carries one of them is this machine's, however it came to be. Makes no call.
    fn owner_ids(&self, entries: &[Entry]) -> Vec<String>;

    /// Returns the resources that the saved configuration names, for machines without a journal: those of
    /// the Go binary. In order of creation.
    fn saved_resources(&self) -> Vec<Resource>;

    /// Removes one resource of this machine; see [`machine_ops::Undo`].
    ///
    /// # Errors
    /// Where the cloud refuses or cannot be reached: the resource stays on record.
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError>;
}
