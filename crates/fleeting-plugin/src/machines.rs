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

/// The machines of one pool.
#[async_trait]
pub trait Machines: Send + Sync + 'static {
    /// Takes the pool's lock, removes what the store does not know, and lists the pool's machines.
    ///
    /// # Errors
    /// The reason: another plugin keeps the pool, or the store cannot be read.
    async fn open(&self) -> Result<Vec<Member>, String>;

    /// Creates a machine, or removes everything that it made. A cancellation takes effect between two calls.
    ///
    /// # Errors
    /// The reason. Something may be left behind, on record.
    async fn create(&self, name: &str, cancel: &Cancel) -> Result<(), CreateFailure>;

    /// Removes machines. Sends each name once its instance is certainly ending. Returns the names that are removed.
    async fn remove(&self, names: &[String], ending: UnboundedSender<String>) -> BTreeSet<String>;

    /// Returns the names of the machines in the store; `None` if it cannot be read.
    fn names(&self) -> Option<BTreeSet<String>>;

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
