//! The journals of operations and of queries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use machine_ops::{Entry, Journal, JournalError, MemoryJournal};
use machine_store::{FileJournal, Store};
use machine_types::MachineName;
use serde_json::Value;

/// A journal on disk, and the entries that this process appended to it.
///
/// The file can fail: the disk is full when an instance ID is to be written, or a Go `docker-machine rm` removed
/// the directory. A rollback in the same process then still knows which resources it made.
pub(crate) struct Remembering {
    file: FileJournal,
    appended: Mutex<Vec<Entry>>,
}

impl Remembering {
    pub(crate) fn over(file: FileJournal) -> Arc<dyn Journal> {
        Arc::new(Self {
            file,
            appended: Mutex::default(),
        })
    }

    fn appended(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.appended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Remembering {
    fn append(&self, entry: &Entry) -> Result<(), JournalError> {
        self.appended().push(entry.clone());
        self.file.append(entry)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let appended = self.appended();
        let mut entries = match self.file.entries() {
            Ok(entries) => entries,
            Err(error) if appended.is_empty() => return Err(error),
            Err(_) => Vec::new(),
        };
        for entry in appended.iter() {
            if !entries.contains(entry) {
                entries.push(entry.clone());
            }
        }
        Ok(entries)
    }

    fn save_driver(&self, driver: &Value) -> Result<(), JournalError> {
        self.file.save_driver(driver)
    }
}

/// A machine's journal for a query, which runs without the machine's lock. What it appends stays in memory.
pub(crate) struct ReadOnly {
    store: Store,
    machine: MachineName,
    appended: MemoryJournal,
}

impl ReadOnly {
    pub(crate) fn of(store: &Store, machine: &MachineName) -> Arc<dyn Journal> {
        Arc::new(Self {
            store: store.clone(),
            machine: machine.clone(),
            appended: MemoryJournal::default(),
        })
    }
}

impl Journal for ReadOnly {
    fn append(&self, entry: &Entry) -> Result<(), JournalError> {
        self.appended.append(entry)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = self.store.entries(&self.machine)?;
        entries.extend(self.appended.entries()?);
        Ok(entries)
    }

    fn save_driver(&self, driver: &Value) -> Result<(), JournalError> {
        self.appended.save_driver(driver)
    }
}
