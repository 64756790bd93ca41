//! `.logs/NAME`: the records of the last create of each machine name, for `logs`.
//!
//! A cache: losing one loses no machine. The records of a create that failed stay after its machine is gone.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use machine_ops::files::{self, Links};
use machine_types::MachineName;

use crate::layout::LOGS;
use crate::{Store, StoreError};

/// Maximum number of logs of names without a machine.
const MOST_FAILED: usize = 20;

/// Maximum size of a log. What a create writes beyond it is lost.
pub const LARGEST_LOG: u64 = 256 << 10;

impl Store {
    fn log(&self, name: &MachineName) -> PathBuf {
        self.layout.under(LOGS).join(name.as_str())
    }

    /// Begins the log of a create, and returns its path. Removes the log of the previous create of this name.
    ///
    /// # Errors
    /// Returns disk errors.
    pub fn begin_log(&self, name: &MachineName) -> Result<PathBuf, StoreError> {
        self.disk.make_directories(&self.layout.under(LOGS))?;
        self.remove_log(name);
        let path = self.log(name);
        // Without fsync: a log need not survive a crash of the computer.
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(path),
            Err(source) => Err(StoreError::disk("create", &path, source)),
        }
    }

    /// Removes the oldest logs of names without a machine, beyond twenty. Ignores errors: the next failed create repeats
    /// it.
    pub fn prune_logs(&self) {
        let logs = self.disk.list(&self.layout.under(LOGS)).unwrap_or_default();
        let of_no_machine = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().parse();
            name.is_ok_and(|name| !self.exists(&name))
        };
        let mut failed: Vec<_> = logs
            .into_iter()
            .filter(of_no_machine)
            .map(|entry| {
                let written = entry.metadata().and_then(|file| file.modified());
                (written.ok(), entry.path())
            })
            .collect();
        failed.sort();
        let excess = failed.len().saturating_sub(MOST_FAILED);
        for (_, path) in failed.iter().take(excess) {
            let _ = fs::remove_file(path);
        }
    }

    /// Returns the records of the last create of a name; `None` if there are none.
    ///
    /// # Errors
    /// Returns disk errors.
    pub fn read_log(&self, name: &MachineName) -> Result<Option<String>, StoreError> {
        // The last record may exceed the limit.
        match files::read_text(&self.log(name), 2 * LARGEST_LOG, Links::Refuse) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the log of a name. Ignores errors: it is replaced by the next create of this name.
    pub fn remove_log(&self, name: &MachineName) {
        let _ = fs::remove_file(self.log(name));
    }
}
