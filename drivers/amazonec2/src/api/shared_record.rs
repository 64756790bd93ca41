//! A small JSON record that the processes of one store share: written under its lock, read without it.
//!
//! It is overwritten in place, since the lock is on the file itself. A reader ignores a partial write. The content is a
//! hint: if the record cannot be read, locked or written, each process works without it.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use machine_ops::files::{self, Links};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Maximum size of the record. Ten thousand waiting callers, or a thousand pre-flight checks, take less.
const LARGEST: u64 = 1 << 20;

/// A record of a store.
#[derive(Debug, Clone)]
pub(crate) struct SharedRecord(PathBuf);

impl SharedRecord {
    /// Returns the record with this file name. It has a leading dot, like all files in a store that are not the Go
    /// binary's.
    pub(crate) fn new(store: &Path, name: &str) -> Self {
        Self(store.join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the record; returns the default if it is missing or invalid.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self) -> T {
        let text = files::read(&self.0, LARGEST, Links::Refuse).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Opens the record for locking; returns `None` if it is unusable.
    pub(crate) fn open(&self) -> Option<File> {
        let (file, metadata) = files::open_shared(&self.0, 0o600).ok()?;
        files::has_one_name(&metadata).then_some(file)
    }

    /// Replaces the contents of the record. `file` is the open and locked record.
    ///
    /// # Errors
    /// Fails if the record cannot be written, for example on a full disk.
    pub(crate) fn write(mut file: &File, contents: &impl Serialize) -> std::io::Result<()> {
        let text = serde_json::to_vec(contents)?;
        file.rewind()?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)
    }
}

/// Converts a time to Unix time in milliseconds.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
