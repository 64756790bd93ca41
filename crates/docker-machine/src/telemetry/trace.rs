//! Trace files: JSON lines, one per step, call, SSH command and wait.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An open trace.
pub(super) struct Trace(Mutex<Open>);

struct Open {
    file: File,
    /// The number of bytes until the maximum size.
    left: u64,
}

impl Trace {
    /// Opens a trace for appending: several processes may write to one, each a line at a time. Lines beyond `limit`
    /// bytes of this process are lost.
    pub(super) fn open(path: &Path, limit: u64) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(Open { file, left: limit })))
    }

    /// Writes a line; a failed write is ignored.
    pub(super) fn write(&self, line: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if let Some(left) = open.left.checked_sub(length) {
            open.left = left;
            let _ = open.file.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Writes a last line, whatever the size.
    pub(super) fn end(&self, line: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = open.file.write_all(format!("{line}\n").as_bytes());
    }
}
