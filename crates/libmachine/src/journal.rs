//! A journal that also keeps its entries in memory.
//!
//! The file can fail: the disk is full when an instance ID is to be written, or a Go `docker-machine rm` removed
//! the directory. A rollback in the same process then still knows which resources it made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use machine_ops::{Entry, Journal, JournalError};
use machine_store::FileJournal;
use serde_json::Value;

/// A journal on disk, and the entries that this process appended to it.
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
