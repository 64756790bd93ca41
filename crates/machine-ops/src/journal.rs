//! The record of what an operation has made, or may have made, outside this machine.
//!
//! An entry is written, and on the disk, *before* the call that creates something ([`Phase::Intent`])
//! and again right after it ([`Phase::Made`] with the id, or [`Phase::NotMade`]). What is neither
//! [`Phase::NotMade`] nor [`Phase::Undone`] still has to be undone.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Scope;

/// Whose a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Made for this machine, and gone with it.
    Ours,
    /// Used by this machine, and never removed with it: a security group, the user's key pair.
    Borrowed,
}

/// When a resource is undone, among all of a machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoOrder {
    /// Before all others: without a key pair, a launch that is still on its way fails.
    First,
    /// In reverse order of creation.
    Reverse,
}

/// What is about to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The name of the driver that makes it; empty in journals of versions that did not write it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The kind, in the driver's words: `key-pair`, `instance`.
    pub kind: String,
    /// What it can be found by when the answer is lost: its name, or its client token.
    pub key: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// When it is undone.
    pub undo: UndoOrder,
    /// Where it is.
    #[serde(default)]
    pub scope: Scope,
    /// What a driver needs to replay or to find it: the exact request. Never a secret.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// How far a resource has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// About to be made.
    Intent {
        /// What.
        #[serde(flatten)]
        intent: Intent,
    },
    /// Made; the id, where it has one besides its key, and facts that only the answer told.
    Made {
        /// `i-…`, `key-…`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// What the answer told about where it is, in addition to the intent's scope.
        #[serde(flatten)]
        scope: Scope,
    },
    /// Certainly not made: the call was refused.
    NotMade,
    /// Removed again, or seen to be gone.
    Undone,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The step that the line belongs to: unique in one journal.
    pub step: u64,
    /// The step's name: `import key pair`.
    pub name: String,
    /// Unix time in milliseconds.
    pub at: u64,
    /// How far it has come.
    #[serde(flatten)]
    pub phase: Phase,
}

/// A machine's journal, on a disk or in memory.
pub trait Journal: Send + Sync {
    /// Appends an entry. When it returns, the entry survives a crash of this process and of
    /// this computer.
    ///
    /// # Errors
    /// [`JournalError`] names the file; nothing half-written is ever read back as an entry.
    fn append(&self, entry: &Entry) -> Result<(), JournalError>;

    /// Reads all entries, oldest first. No journal at all is no entries.
    ///
    /// # Errors
    /// [`JournalError`] where the file cannot be read. A torn last line is dropped: its call was
    /// not made, since the append had not returned.
    fn entries(&self) -> Result<Vec<Entry>, JournalError>;

    /// Saves the driver's part of `config.json`, so that the Go binary can find what was made.
    ///
    /// # Errors
    /// [`JournalError`] names the file.
    fn save_driver(&self, driver: &Value) -> Result<(), JournalError>;
}

/// The journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct JournalError {
    /// `append to`, `read`, `write`.
    pub action: &'static str,
    /// The file.
    pub path: String,
    /// The operating system's reason.
    #[source]
    pub source: std::io::Error,
}

/// Something that was made, or may have been, and has not been undone.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The step that made it; `None` for what the journal does not know and the driver read out
    /// of its own configuration (machines of the Go binary).
    pub step: Option<u64>,
    /// The step's name.
    pub name: String,
    /// When the intent was written, Unix time in milliseconds; 0 where nobody knows.
    pub at: u64,
    /// What it is.
    pub intent: Intent,
    /// Whether it was seen to be made. Otherwise it may or may not exist.
    pub made: bool,
    /// Its id, where it is known.
    pub id: Option<String>,
}

/// Sums a journal up: what is still there, or may be, in order of creation.
pub fn open_resources(entries: &[Entry]) -> Vec<Resource> {
    let mut open: Vec<Resource> = Vec::new();
    for entry in entries {
        let known = open.iter().position(|r| r.step == Some(entry.step));
        match (&entry.phase, known) {
            (Phase::Intent { intent }, None) => open.push(Resource {
                step: Some(entry.step),
                name: entry.name.clone(),
                at: entry.at,
                intent: intent.clone(),
                made: false,
                id: None,
            }),
            (Phase::Made { id, scope }, Some(index)) => {
                let resource = &mut open[index];
                resource.made = true;
                resource.id.clone_from(id);
                resource.intent.scope.learn(scope);
            }
            (Phase::NotMade | Phase::Undone, Some(index)) => {
                open.remove(index);
            }
            // A second intent of one step, or the end of a step that never began: a journal that
            // was damaged. The resource, if there is one, stays open.
            (Phase::Intent { .. }, Some(_)) | (_, None) => {}
        }
    }
    open
}

/// A journal that forgets: for drivers that make nothing, and for tests.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Entry>>,
    driver: Mutex<Value>,
}

impl MemoryJournal {
    /// Returns what [`Journal::save_driver`] was last given.
    pub fn driver(&self) -> Value {
        self.driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, entry: &Entry) -> Result<(), JournalError> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(entry.clone());
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    fn save_driver(&self, driver: &Value) -> Result<(), JournalError> {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = driver.clone();
        Ok(())
    }
}
