//! The record of the resources that an operation has created, or may have created, outside this computer.
//!
//! An entry is written to disk *before* the call that creates a resource ([`Phase::Intent`]) and again right after it
//! ([`Phase::Made`] with the id, or [`Phase::NotMade`]). A resource that is neither [`Phase::NotMade`] nor
//! [`Phase::Undone`] still has to be undone.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Scope;

/// The ownership of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Created for this machine, and removed with it.
    Ours,
    /// Used by this machine, and never removed with it: a security group, the user's key pair.
    Borrowed,
}

/// The position of a resource in the order of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoOrder {
    /// Before all others: without its key pair, a pending launch fails.
    First,
    /// In reverse order of creation.
    Reverse,
}

/// A resource about to be created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The name of the driver that creates it; empty in journals of versions that did not write it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The kind, as the driver names it: `key-pair`, `instance`.
    pub kind: String,
    /// The lookup key for a lost answer: its name, or its client token.
    pub key: String,
    /// Its ownership.
    pub ownership: Ownership,
    /// Its position in an undo.
    pub undo: UndoOrder,
    /// Its location.
    #[serde(default)]
    pub scope: Scope,
    /// The data that a driver needs to replay the call or to find the resource: the exact request. Never a secret.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// The progress of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// About to be created.
    Intent {
        /// The resource.
        #[serde(flatten)]
        intent: Intent,
    },
    /// Created; the id, if it has one besides its key, and facts that only the answer contained.
    Made {
        /// `i-…`, `key-…`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The location from the answer, in addition to the intent's scope.
        #[serde(flatten)]
        scope: Scope,
    },
    /// Certainly not created: the call was refused.
    NotMade,
    /// Removed again, or confirmed gone.
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
    /// The phase.
    #[serde(flatten)]
    pub phase: Phase,
}

/// A machine's journal, on a disk or in memory.
pub trait Journal: Send + Sync {
    /// Appends an entry. When it returns, the entry survives a crash of this process and of
    /// this computer.
    ///
    /// # Errors
    /// [`JournalError`] names the file; an incomplete line is never read back as an entry.
    fn append(&self, entry: &Entry) -> Result<(), JournalError>;

    /// Reads all entries, oldest first. A missing journal has no entries.
    ///
    /// # Errors
    /// [`JournalError`] where the file cannot be read. A torn last line is dropped: its call was not made, since the
    /// append had not returned.
    fn entries(&self) -> Result<Vec<Entry>, JournalError>;

    /// Saves the driver's part of `config.json`, so that the Go binary can find the resources.
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

/// A resource that was created, or may have been, and has not been undone.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The step that created it; `None` for a resource that is not in the journal and that the driver read from its
    /// own configuration (machines of the Go binary).
    pub step: Option<u64>,
    /// The step's name.
    pub name: String,
    /// The time of the intent, Unix time in milliseconds; 0 if unknown.
    pub at: u64,
    /// The resource.
    pub intent: Intent,
    /// Whether its creation was confirmed. Otherwise it may or may not exist.
    pub made: bool,
    /// Its id, if known.
    pub id: Option<String>,
}

/// Returns the resources that exist, or may exist, in order of creation.
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
            // A second intent of one step, or the end of a step that never began: a damaged journal. The resource, if
            // there is one, stays open.
            (Phase::Intent { .. }, Some(_)) | (_, None) => {}
        }
    }
    open
}

/// A journal in memory only: for drivers that create nothing, and for tests.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Entry>>,
    driver: Mutex<Value>,
}

impl MemoryJournal {
    /// Returns the last argument of [`Journal::save_driver`].
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
