//! What is odd about a store, for `doctor`. Looks, and changes nothing: not even a lock's file.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use machine_ops::files::TEMPORARY;
use rustix::fs::{Access, FlockOperation, OFlags, access, flock};

use crate::disk::flags;
use crate::layout::{CERTS, CREATING, LOCKS, REMOVING};
use crate::{MachineFile, Store, StoreError};

/// Something about a store that is not as this docker-machine leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// The store cannot be written by this user.
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// Others than the owner get at what is the owner's alone.
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What its mode should be.
        wanted: u32,
    },
    /// Somebody is at work.
    Locked {
        /// The machine's name; `-bootstrap` for the certificates.
        what: String,
        /// The process, as far as its lock tells.
        pid: Option<u32>,
    },
    /// What a crash left half made or half removed; it is swept in passing.
    Unswept {
        /// The file or directory.
        path: PathBuf,
    },
    /// A directory among the machines that no machine can be called like.
    OddName(String),
}

impl Store {
    /// Lists what is odd about the store as a whole. A store that is not there has nothing odd about it.
    ///
    /// # Errors
    /// Where a directory cannot be read.
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
            // Whoever may write there may put a machine of their own there.
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

/// A shared lock is had where nobody holds the exclusive one; it is given back at once. Whoever wants
/// the exclusive one at that very moment waits for a few milliseconds.
fn is_held(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            false
        }
        Err(_) => true,
    }
}

/// Tells whether a mode has a bit that it should not have. What is not there is not exposed.
fn exposed(path: &Path, forbidden: u32, wanted: u32) -> Option<Oddity> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & forbidden != 0).then(|| Oddity::Exposed {
        path: path.to_owned(),
        mode,
        wanted,
    })
}
