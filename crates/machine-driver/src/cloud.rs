//! The cloud traits: what a driver adds whose machines are made by calls to a cloud.

use std::time::Duration;

use async_trait::async_trait;
use machine_ops::{Cx, Entry, Resource, Scope, Undone};
use machine_types::{MachineName, MachineState, Secret};
use serde_json::Value;

use crate::{Check, DriverError};

/// Something that carries an owner's tags, and that this program made. Whose it is, the caller decides.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    /// What it is, so that the same undo removes it.
    pub resource: Resource,
    /// The id of the store that it was made for, by its tag.
    pub store: Option<String>,
    /// The id of the machine that it was made for, by its tag: see [`Cloud::owner_ids`].
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

/// Whose resources [`Cloud::left_behind`] lists.
#[derive(Debug, Clone, Copy)]
pub struct OwnedBy<'a> {
    /// The id of one store, as its resources carry it in their tag; `None`: those of any store.
    pub store: Option<&'a str>,
    /// Tags of the user's that a resource must carry as well, all of them. Values are literal.
    pub tags: &'a [(String, String)],
    /// The place on record, as [`Cloud::scope`] returned it.
    pub scope: &'a Scope,
}

/// A place of the cloud and the credentials for it. Calls can be shared by machines whose routes are equal.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    /// The place.
    pub scope: Scope,
    /// The credentials, or what tells which they are.
    pub credentials: Vec<Secret>,
}

/// What a kind of driver knows about its cloud without a machine.
pub trait CloudKind: Send + Sync {
    /// Returns the names of the flags of which one is enough to name a place.
    fn place_flags(&self) -> &'static [&'static str];

    /// Makes the `Driver` object of a machine of which only the journal can be read: with the place of its
    /// resources, and credentials from the environment.
    fn saved_at(&self, name: &MachineName, scope: &Scope) -> Value;

    /// Tells whether journals whose entries name no driver are this kind's. One kind alone made anything before
    /// entries named their driver.
    fn owns_unnamed_entries(&self) -> bool {
        false
    }

    /// Returns how long the cloud may not show what it has just made.
    fn consistency_window(&self) -> Duration;
}

/// One machine, as its cloud knows it.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Returns the place and the credentials that the machine's calls go by. Makes no network call.
    fn route(&self) -> Route;

    /// Returns where the machine's resources are: as configured, with what the answers on record in its
    /// journal's entries told (an account). Makes no network call.
    fn scope(&self, entries: &[Entry]) -> Scope;

    /// Names a place for people, in a word: its region. Empty where there is nothing to tell.
    fn place(&self, scope: &Scope) -> String;

    /// Returns the key of the tag that says which store owns a resource of this machine; `None`: they carry none.
    fn owner_tag(&self) -> Option<String>;

    /// Returns the ids that resources of this machine carry in a tag, as its configuration and its journal tell:
    /// whatever carries one of them is this machine's, however it came to be. Makes no network call.
    fn owner_ids(&self, entries: &[Entry]) -> Vec<String>;

    /// Returns the resources that the saved configuration names, for machines without a journal: those of
    /// the Go binary. In order of creation.
    fn saved_resources(&self) -> Vec<Resource>;

    /// Returns the id that [`Cloud::states`] asks by; `None`: nothing was launched yet.
    fn id(&self) -> Option<String>;

    /// Asks for the states of machines of the same [`Route`] with as few calls as can be, by their ids.
    /// The answers are in the order of `ids`.
    async fn states(&self, ids: &[String], cx: &Cx) -> Vec<Result<MachineState, DriverError>>;

    /// Examines, for `doctor`, the machine's [`Route`]: credentials, account, region. Changes nothing.
    async fn examine_access(&self, cx: &Cx) -> Vec<Check>;

    /// Waits until the machine has an address to connect to, and keeps it. At once where it is known.
    ///
    /// # Errors
    /// [`DriverErrorKind::Ended`](crate::DriverErrorKind::Ended) with the cloud's reason, or
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity) where it is want of capacity; a wait that ran out.
    async fn await_address(&mut self, cx: &Cx) -> Result<(), DriverError>;

    /// Checks once whether the machine has ended by itself (terminated, reclaimed, failed), so that it can
    /// never come up any more. A check that fails says nothing about the machine: `None`. So does a cloud whose
    /// machines do not end by themselves, the default.
    async fn ended(&self, _cx: &Cx) -> Option<DriverError> {
        None
    }

    /// Launches the machine somewhere else, after it ended for want of capacity while it was coming up:
    /// `ended` is what [`Cloud::await_address`] or [`Cloud::ended`] returned, of the kind
    /// [`DriverErrorKind::Capacity`](crate::DriverErrorKind::Capacity). What ended is certainly gone, and off
    /// the record, before anything else is made. `false`: there is nowhere else to go, and nothing was done; so
    /// it is by default.
    ///
    /// # Errors
    /// As [`Driver::create`](crate::Driver::create).
    async fn relaunch(&mut self, _ended: &DriverError, _cx: &Cx) -> Result<bool, DriverError> {
        Ok(false)
    }

    /// Returns more about a machine that does not answer: the tail of its console, where that may be read. By
    /// default there is no more.
    async fn diagnose(&self, _cx: &Cx) -> Option<String> {
        None
    }

    /// Sets labels on the machine, in addition to those that it has; one of the same key gets the new value.
    /// GitLab Runner's heartbeat is one.
    ///
    /// # Errors
    /// [`labels_not_supported`](crate::labels_not_supported) for a cloud without any;
    /// [`DriverErrorKind::Configuration`](crate::DriverErrorKind::Configuration) for a key that the driver itself goes by.
    async fn set_labels(&self, labels: &[(String, String)], cx: &Cx) -> Result<(), DriverError>;

    /// Lists what carries an owner's tags in the machine's place.
    ///
    /// # Errors
    /// Where the place cannot be asked, or is another one than the one on record (the account is not the
    /// same): what is not found there may well be somewhere else. Where an answer holds something without the
    /// tags that were asked for: nothing in that answer can be relied on.
    async fn left_behind(
        &self,
        owner: OwnedBy<'_>,
        cx: &Cx,
    ) -> Result<Vec<LeftBehind>, DriverError>;

    /// Removes one resource of this machine; see [`machine_ops::Undo`].
    ///
    /// # Errors
    /// Where the cloud refuses or cannot be reached: the resource stays on record.
    async fn undo(&self, resource: &Resource, cx: &Cx) -> Result<Undone, DriverError>;
}
