//! What a pool needs from outside: creates, removes and looks at machines.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use libmachine::{Cancel, Member, MemberAccess, MemberState};
use tokio::sync::mpsc::UnboundedSender;

/// A create that failed and was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFailure {
    /// The reason, in one line.
    pub reason: String,
    /// Whether the cloud has no capacity: the next create would fail for the same reason.
    pub is_capacity: bool,
}

/// Progress of a removal, with the machine's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Its instance is certainly ending.
    Ending(String),
    /// It is removed.
    Removed(String),
}

/// The result of a search for resources that no machine of the store owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// There is none any more.
    None,
    /// Some cannot be removed.
    Left,
    /// The cloud could not be searched.
    Unknown,
}

/// The machines of one pool.
#[async_trait]
pub trait Machines: Send + Sync + 'static {
    /// Takes the pool's lock, and lists the pool's machines.
    ///
    /// # Errors
    /// The reason: another plugin keeps the pool, or the store cannot be read.
    async fn open(&self) -> Result<Vec<Member>, String>;

    /// Removes the pool's resources in the cloud that no machine of the store owns.
    async fn remove_orphans(&self) -> Orphans;

    /// Creates a machine, or removes everything that it made. A cancellation takes effect between two calls.
    ///
    /// # Errors
    /// The reason. Something may be left behind, on record.
    async fn create(&self, name: &str, cancel: &Cancel) -> Result<(), CreateFailure>;

    /// Removes machines, and tells of each how far it is. Returns when all attempts have ended.
    async fn remove(&self, names: &[String], progress: UnboundedSender<Progress>);

    /// Returns whether the store has a machine of this name, in any state.
    fn exists(&self, name: &str) -> bool;

    /// Returns those of the machines that another command has removed from the store. A store that is not where it was,
    /// such as one whose disk is not mounted, tells nothing.
    fn removed(&self, names: &BTreeSet<String>) -> BTreeSet<String>;

    /// Queries the states of machines. Lacks those that are unknown for now.
    async fn states(&self, names: &BTreeSet<String>) -> BTreeMap<String, MemberState>;

    /// Returns how to log in to a machine. Makes no network call.
    ///
    /// # Errors
    /// The reason.
    async fn access(&self, name: &str) -> Result<MemberAccess, String>;

    /// Releases the pool's lock.
    fn close(&self);
}
