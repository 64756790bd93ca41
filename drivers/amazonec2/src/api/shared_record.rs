//! A small JSON record that the processes of one store share: changed under its lock, read without it.
//!
//! It is changed in place, for a lock is the file's own. Who reads half of it reads nothing. What it says is a hint: where it
//! cannot be read, locked or written, each process does without it.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use machine_ops::files::{self, Links};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest record: ten thousand waiting callers, or a thousand pre-flight checks, have less.
const LARGEST: u64 = 1 << 20;

/// A record of a store.
#[derive(Debug, Clone)]
pub(crate) struct SharedRecord(PathBuf);

impl SharedRecord {
    /// Names a record. Dot-named, like all in a store that is not the Go binary's.
    pub(crate) fn new(store: &Path, name: &str) -> Self {
        Self(store.join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the record; nothing where it is missing or makes no sense.
    pub(crate) fn read<T: DeserializeOwned + Default>(&self) -> T {
        let text = files::read(&self.0, LARGEST, Links::Refuse).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Opens the record to be locked; `None` where it is of no use.
    pub(crate) fn open(&self) -> Option<File> {
        let (file, metadata) = files::open_shared(&self.0, 0o600).ok()?;
        files::has_one_name(&metadata).then_some(file)
    }

    /// Replaces what the record says. `file` is the open and locked record.
    ///
    /// # Errors
    /// Where it cannot be written, on a full disk for instance.
    pub(crate) fn write(mut file: &File, contents: &impl Serialize) -> std::io::Result<()> {
        let text = serde_json::to_vec(contents)?;
        file.rewind()?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)
    }
}

/// Returns a moment as Unix time in milliseconds.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
