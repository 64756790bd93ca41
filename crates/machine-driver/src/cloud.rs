//! The cloud traits: the additional interface of a driver that creates machines through a cloud's API.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use machine_ops::{Cx, Entry, Resource, Scope, Undone};
use machine_types::{MachineName, MachineState, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Check, DriverError};

/// A resource that this program created and that carries an owner's tags. The caller decides who owns it.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    /// The resource, in the form that undo takes.
    pub resource: Resource,
    /// The id of the owning store, from its tag.
    pub store: Option<String>,
    /// The id of the owning machine, from its tag: see [`Cloud::owner_ids`].
    pub owner_id: Option<String>,
    /// Its own name, as the cloud's console shows it.
    pub name: String,
    /// The machine's name: its key pair's name if there is one, else from its tags.
    pub machine: String,
    /// Whether the name comes from the key pair. The user controls the tag `Name`, which may name any machine.
    pub is_named_by_key_pair: bool,
    /// Its state, as the cloud names it.
    pub state: String,
    /// Its creation time, Unix time in milliseconds.
    pub created: u64,
    /// The last sign of use, Unix time in milliseconds; `None`: the cloud does not tell, and the caller must remember
    /// since when it has seen the resource unused.
    pub used: Option<u64>,
}

/// The filter of [`Cloud::left_behind`].
#[derive(Debug, Clone, Copy)]
pub struct OwnedBy<'a> {
    /// The id of one store, as the tag of its resources has it; `None`: resources of any store.
    pub store: Option<&'a str>,
    /// Tags of the user that a resource must carry as well, all of them. Values are literal.
    pub tags: &'a [(String, String)],
    /// The recorded scope, as [`Cloud::scope`] returned it.
    pub scope: &'a Scope,
}

/// A scope of the cloud and the credentials for it. Machines with equal routes can share calls.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    /// The scope.
    pub scope: Scope,
    /// The credentials, or their identification.
    pub credentials: Vec<Secret>,
}

/// The current addresses of a machine. Its configuration tells which of them to connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The public IPv4 address.
    pub public: Option<String>,
    /// The private IPv4 address.
    pub private: Option<String>,
    /// The IPv6 addresses.
    pub ipv6: Vec<String>,
}

/// Facts about a machine, for display.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The instance type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// Whether it is a spot instance, which the cloud may reclaim at any time.
    pub is_spot: bool,
    /// Its creation time, Unix time in milliseconds, if the cloud reports it.
    pub created: Option<u64>,
}

/// The answer to one query of a machine's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: MachineState,
    /// The addresses; `None` if the answer holds none.
    pub addresses: Option<Addresses>,
    /// Facts; `None` if the answer holds none.
    pub facts: Option<Facts>,
}

impl From<MachineState> for Status {
    fn from(state: MachineState) -> Self {
        Self {
            state,
            addresses: None,
            facts: None,
        }
    }
}

/// The knowledge of a kind of driver about its cloud that does not depend on a machine.
pub trait CloudKind: Send + Sync {
    /// Returns the names of the flags of which any one identifies a scope.
    fn place_flags(&self) -> &'static [&'static str];

    /// Returns whether the environment names a scope otherwise than by the variables of these flags: by settings of the
    /// cloud's own tools, which [`DriverKind::configure`](crate::DriverKind::configure) reads, too.
    fn is_scope_in_environment(&self) -> bool {
        false
    }

    /// Makes the `Driver` object of a machine of which only the journal is readable: with the scope of its resources,
    /// and credentials from the environment.
    fn saved_at(&self, name: &MachineName, scope: &Scope) -> Value;

    /// Returns whether journals whose entries name no driver belong to this kind. Only one kind existed before
    /// entries named their driver.
    fn owns_unnamed_entries(&self) -> bool {
        false
    }

    /// Returns how long the cloud may not show a resource after its creation (eventual consistency).
    fn consistency_window(&self) -> Duration;
}

/// A machine's interface to its cloud.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Returns the scope and the credentials of the machine's calls. Makes no network call.
    fn route(&self) -> Route;

    /// Returns the scope of the machine's resources: as configured, plus facts from answers that its journal's
    /// entries hold (an account). Makes no network call.
    fn scope(&self, entries: &[Entry]) -> Scope;

    /// Returns a short name of a scope for display: its region. Empty if there is none.
    fn place(&self, scope: &Scope) -> String;

    /// Returns the key of the tag that names the owning store of this machine's resources; `None`: they carry none.
    fn owner_tag(&self) -> Option<String>;

    /// Returns the ids that resources of this machine carry in a tag, from its configuration and its journal: a
    /// resource with one of them belongs to this machine, however it was created. Makes no network call.
    fn owner_ids(&self, entries: &[Entry]) -> Vec<String>;

    /// Returns the resources that the saved configuration names, for machines without a journal: those of the Go
    /// binary. In order of creation.
    fn saved_resources(&self) -> Vec<Resource>;

    /// Returns the id for [`Cloud::states`]; `None`: no instance was launched yet.
    fn id(&self) -> Option<String>;

    /// Queries the states of machines of the same [`Route`] by their ids, with as few calls as possible. The answers
    /// are in the order of `ids`. A machine that the cloud does not list is an error of the kind
    /// [`NotFound`](crate::DriverErrorKind::NotFound); the caller knows whether it is new.
    async fn states(&self, ids: &[String], cx: &Cx) -> Vec<Result<Status, DriverError>>;

    /// Queries the states of all machines of this machine's store and [`Route`], by their ids, with one call where the
    /// cloud can find them by their owner. The result may lack machines: query these by [`Cloud::states`]. The default
    /// returns none.
    ///
    /// # Errors
    /// The cloud cannot be queried.
    async fn states_of_store(
        &self,
        _cx: &Cx,
    ) -> Result<BTreeMap<String, Result<Status, DriverError>>, DriverError> {
        Ok(BTreeMap::new())
    }

    /// Requests the end of several machines of the same [`Route`] and recorded scope, by their ids, with as few calls
    /// as possible. Returns the ids of those that are certainly ending; [`Cloud::undo`] handles the others one by one.
    /// The default requests nothing.
    async fn end(&self, _ids: &[String], _scope: &Scope, _cx: &Cx) -> Vec<String> {
        Vec::new()
    }

    /// Replaces the saved address to connect to if the machine has another one, for example after a stop and a start in
    /// the cloud's console. Returns whether it replaced it. Makes no network call, and does not write the configuration.
    /// By default, machines keep their addresses.
    fn adopt(&mut self, _addresses: &Addresses) -> bool {
        false
    }

    /// Checks the machine's [`Route`] for `doctor`: credentials, account, region. Changes nothing.
    async fn examine_access(&self, cx: &Cx) -> Vec<Check>;

    /// Waits until the machine has an address to connect to, and saves it. Returns at once if it is known.
    ///
    /// # Errors
    /// [`DriverErrorKind::Ended`](crate::DriverErrorKind::Ended) with the cloud's reason, or
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity) for missing capacity; a timeout.
    async fn await_address(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Checks once whether the machine has ended by itself (terminated, reclaimed, failed), so that it can never
    /// become ready. Returns `None` if the check fails, because that says nothing about the machine. The default, for
    /// clouds whose machines do not end by themselves, returns `None`.
    async fn ended(&self, _cx: &Cx) -> Option<DriverError> {
        None
    }

    /// Launches the machine elsewhere after it ended for missing capacity during startup: `ended` is the error of
    /// [`Cloud::await_address`] or [`Cloud::ended`], of the kind
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity). The ended resource is confirmed gone, and
    /// closed in the journal, before anything else is created. Returns `false` without any action if there is no
    /// alternative; that is the default.
    ///
    /// # Errors
    /// Same as [`Driver::create`](crate::Driver::create).
    async fn relaunch(&mut self, _ended: &DriverError, _cx: &Cx) -> Result<bool, DriverError> {
        Ok(false)
    }

    /// Returns more information about a machine that does not answer: the tail of its console, if readable. The
    /// default returns none.
    async fn diagnose(&self, _cx: &Cx) -> Option<String> {
        None
    }

    /// Sets labels on the machine, in addition to the existing ones; a label with an existing key is overwritten.
    /// GitLab Runner's heartbeat is one.
    ///
    /// # Errors
    /// [`labels_not_supported`](crate::labels_not_supported) for a cloud without labels;
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) for a key that the driver itself
    /// uses.
    async fn set_labels(&self, labels: &[(String, String)], cx: &Cx) -> Result<(), DriverError>;

    /// Lists the resources that carry an owner's tags in the machine's scope.
    ///
    /// # Errors
    /// The scope cannot be queried, or differs from the recorded one (another account): a resource that is not found
    /// there may exist elsewhere. An answer contains a resource without the requested tags: then nothing in that
    /// answer is reliable.
    async fn left_behind(
        &self,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError>;

    /// Removes one resource of this machine; see [`machine_ops::Undo`].
    ///
    /// # Errors
    /// The cloud refuses or cannot be reached; the resource stays in the journal.
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError>;
}
