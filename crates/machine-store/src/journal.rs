//! The journal on disk: one JSON object per line; a line counts once it is fsynced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use machine_ops::{Entry, Journal, JournalError};
use machine_types::MachineName;
use serde_json::Value;

use crate::disk::Disk;
use crate::store::{CONFIG_LIMIT, save_in};
use crate::{MachineFile, MachineRecord, StoreError};

/// The maximum size of a journal: some 50,000 entries.
const JOURNAL_LIMIT: u64 = 16 << 20;

/// A machine's `.journal`, in its directory or in its tombstone. Appending requires the directory to exist.
pub struct FileJournal {
    disk: Disk,
    name: MachineName,
    directory: PathBuf,
    base: PathBuf,
    /// Serializes appends among the clones of a context.
    appending: Mutex<()>,
}

impl FileJournal {
    pub(crate) fn new(disk: Disk, name: MachineName, directory: PathBuf, base: PathBuf) -> Self {
        Self {
            disk,
            name,
            directory,
            base,
            appending: Mutex::new(()),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(MachineFile::Journal.name())
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, JournalError> {
        match self.disk.read_ours(path, JOURNAL_LIMIT) {
            Err(error) if error.is_missing() => Ok(Vec::new()),
            other => other.map_err(|error| error.into_journal("read", path)),
        }
    }

    pub(crate) fn read(&self) -> Result<Vec<Entry>, JournalError> {
        let path = self.path();
        Self::parse(&self.bytes(&path)?, &path)
    }

    /// Parses the contents of a journal's file. A last line without a line feed was torn by a crash, and is dropped.
    ///
    /// # Errors
    /// Returns an error for the first invalid line, with `path` and line number.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Entry>, JournalError> {
        whole_lines(bytes)
            .split(|b| *b == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .map(|(index, line)| {
                serde_json::from_slice(line).map_err(|error| JournalError {
                    action: "read",
                    path: format!("{}:{}", path.display(), index + 1),
                    source: io::Error::new(io::ErrorKind::InvalidData, error),
                })
            })
            .collect()
    }

    fn replace_driver(&self, driver: &Value) -> Result<(), StoreError> {
        let path = self.directory.join(MachineFile::Config.name());
        let bytes = self.disk.read(&path, CONFIG_LIMIT)?;
        let mut record = MachineRecord::parse(&bytes, &self.name, &path, &self.base)?;
        if record.driver == *driver && !record.migrated {
            return Ok(());
        }
        record.driver = driver.clone();
        save_in(&self.disk, &self.directory, &record)
    }
}

/// Returns the bytes up to the last line feed.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b == b'\n');
    end.map_or(&[], |end| &bytes[..=end])
}

impl Journal for FileJournal {
    fn append(&self, entry: &Entry) -> Result<(), JournalError> {
        let _one = self
            .appending
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = self.path();
        let mut line = serde_json::to_vec(entry).map_err(|error| JournalError {
            action: "append to",
            path: path.display().to_string(),
            source: io::Error::new(io::ErrorKind::InvalidData, error),
        })?;
        line.push(b'\n');
        let length = whole_lines(&self.bytes(&path)?).len() as u64;
        self.disk
            .append(&path, length, &line, MachineFile::Journal.mode())
            .map_err(|error| error.into_journal("append to", &path))
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.read()
    }

    fn save_driver(&self, driver: &Value) -> Result<(), JournalError> {
        let path = self.directory.join(MachineFile::Config.name());
        self.replace_driver(driver)
            .map_err(|error| error.into_journal("write", &path))
    }
}
