//! Checks of the store for `doctor`. Read-only: not even a lock file is created.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use machine_ops::files::TEMPORARY;
use rustix::fs::{Access, FlockOperation, OFlags, access, flock};

use crate::disk::flags;
use crate::layout::{CERTS, CREATING, LOCKS, REMOVING};
use crate::{MachineFile, Store, StoreError};

/// A deviation from the state in which docker-machine leaves a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// The store cannot be written by this user.
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// A private file or directory is accessible to other users.
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The expected mode.
        wanted: u32,
    },
    /// A process holds the lock.
    Locked {
        /// The machine's name; `-bootstrap` for the certificates.
        what: String,
        /// The process id, if the lock file contains one.
        pid: Option<u32>,
    },
    /// A half-created or half-removed directory that a crash left behind; later operations sweep it.
    Unswept {
        /// The file or directory.
        path: PathBuf,
    },
    /// A directory among the machines whose name is not a valid machine name.
    OddName(String),
}

impl Store {
    /// Lists the deviations of the store as a whole. A store that does not exist has none.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn oddities(&self) -> Result<Vec<Oddity>, StoreError> {
        let mut odd = Vec::new();
        if !self.base().is_dir() {
            return Ok(odd);
        }
        let machines = self.layout.machines();
        let certs = self.layout.under(CERTS);
        for directory in [self.base(), &machines] {
            let may = Access::WRITE_OK | Access::EXEC_OK;
            if directory.is_dir() && access(directory, may).is_err() {
                let path = directory.to_owned();
                odd.push(Oddity::ReadOnly { path });
            }
            // A user who can write there can place a machine there.
            odd.extend(exposed(directory, 0o022, 0o700));
        }
        odd.extend(exposed(&certs, 0o022, 0o700));
        for key in ["ca-key.pem", "key.pem"] {
            odd.extend(exposed(&certs.join(key), 0o077, 0o600));
        }
        for name in self.names()? {
            odd.extend(exposed(&self.directory(&name), 0o022, 0o700));
            for file in [
                MachineFile::Config,
                MachineFile::SshKey,
                MachineFile::Key,
                MachineFile::ServerKey,
                MachineFile::Journal,
            ] {
                odd.extend(exposed(&self.file(&name, file), 0o077, file.mode()));
            }
        }
        odd.extend(self.odd_names()?.into_iter().map(Oddity::OddName));
        odd.extend(self.held_locks()?);
        for directory in [self.base(), &machines, &certs] {
            odd.extend(self.unswept(directory)?);
        }
        Ok(odd)
    }

    fn held_locks(&self) -> Result<Vec<Oddity>, StoreError> {
        let files = self.disk.list(&self.layout.under(LOCKS))?;
        let held = files.iter().filter_map(|entry| {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
                .open(entry.path())
                .ok()?;
            is_held(&file).then(|| {
                let mut text = String::new();
                let _ = (&file).take(16).read_to_string(&mut text);
                let name = entry.file_name().to_string_lossy().into_owned();
                Oddity::Locked {
                    what: name.trim_start_matches('.').to_owned(),
                    pid: text.trim().parse().ok(),
                }
            })
        });
        Ok(held.collect())
    }

    fn unswept(&self, directory: &Path) -> Result<Vec<Oddity>, StoreError> {
        let entries = self.disk.list(directory)?;
        let left = entries.iter().filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours = [CREATING, REMOVING, TEMPORARY]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            is_ours && self.disk.is_stale(entry)
        });
        Ok(left
            .map(|entry| Oddity::Unswept { path: entry.path() })
            .collect())
    }
}

/// Returns whether another process holds the lock. Takes a shared lock, which succeeds if no process holds the
/// exclusive one, and releases it at once. A process that requests the exclusive lock at that moment waits for a few
/// milliseconds.
fn is_held(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            false
        }
        Err(_) => true,
    }
}

/// Returns whether a mode has a forbidden bit. A path that does not exist is not exposed.
fn exposed(path: &Path, forbidden: u32, wanted: u32) -> Option<Oddity> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & forbidden != 0).then(|| Oddity::Exposed {
        path: path.to_owned(),
        mode,
        wanted,
    })
}
