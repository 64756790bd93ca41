//! Locks as types: the holder of a lock may write the data that it protects. The kernel releases a lock when the
//! holder's process ends, for whatever reason.

use std::fs::{File, TryLockError};
use std::future::ready;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::files;
use machine_ops::{Cx, Look, WaitError, WaitPolicy, wait_until_ready};
use machine_types::MachineName;

use crate::disk::Disk;
use crate::{FileOp, StoreError};

/// Exclusive access to one machine: its directory, its `config.json`, its journal. Readers need no lock.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct MachineLock {
    pub(crate) name: MachineName,
    pub(crate) file: LockedFile,
}

impl MachineLock {
    /// Returns the machine's name.
    pub fn name(&self) -> &MachineName {
        &self.name
    }
}

/// Exclusive access to the data that all machines share: the CA and the client certificate.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct BootstrapLock {
    pub(crate) _file: LockedFile,
}

/// Exclusive access to a pool of machines: one process creates and removes them.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct PoolLock {
    pub(crate) _file: LockedFile,
}

/// A locked file. It contains the holder's process id, for the error message of waiting processes.
#[derive(Debug)]
pub(crate) struct LockedFile {
    file: File,
    path: PathBuf,
}

/// The result of one attempt to lock.
pub(crate) enum Attempt {
    Got(LockedFile),
    Held { pid: Option<u32> },
}

impl LockedFile {
    /// Makes one attempt to lock.
    pub(crate) fn attempt(disk: &Disk, path: &Path) -> Result<Attempt, StoreError> {
        let failed = |source| StoreError::disk("lock", path, source);
        disk.make_directories(files::parent(path))?;
        loop {
            disk.hook.before(FileOp::Lock, path).map_err(failed)?;
            let (mut file, _) = files::open_shared(path, 0o600)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let _ = (&file).take(16).read_to_string(&mut text);
                    return Ok(Attempt::Held {
                        pid: text.trim().parse().ok(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The last holder may have removed the file after this process opened it and before it locked it: then
            // the lock is on a deleted file, and a newer file is the real one.
            let ours = file.metadata().map_err(failed)?;
            let there = std::fs::symlink_metadata(path);
            if !there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                continue;
            }
            // Informs waiting processes. A full disk does not prevent holding a lock.
            if files::has_one_name(&ours) {
                let _ = file.set_len(0);
                let _ = file.rewind();
                let _ = writeln!(file, "{}", std::process::id());
            }
            return Ok(Attempt::Got(Self {
                file,
                path: path.to_owned(),
            }));
        }
    }

    /// Returns whether a lock is held, and by which process, without taking it or creating its file.
    pub(crate) fn holder(path: &Path) -> Option<Option<u32>> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&mut file).take(16).read_to_string(&mut text);
                Some(text.trim().parse().ok())
            }
            // Closing the file releases the lock.
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// Waits at most `within` for a lock.
    pub(crate) async fn wait(
        disk: &Disk,
        path: &Path,
        what: &str,
        within: Duration,
        cx: &Cx,
    ) -> Result<Self, StoreError> {
        let policy =
            WaitPolicy::backing_off(Duration::from_millis(5), Duration::from_millis(250), within);
        let mut holder = None;
        let waited = wait_until_ready(cx, &format!("lock of {what}"), policy, || {
            ready(match Self::attempt(disk, path) {
                Ok(Attempt::Got(file)) => Ok(Look::Ready(file)),
                Ok(Attempt::Held { pid }) => {
                    holder = pid;
                    Ok(Look::Pending("held".to_owned()))
                }
                Err(error) => Err(error),
            })
        })
        .await;
        waited.map_err(|error| match error {
            WaitError::Failed(error) => error,
            WaitError::Cancelled(reason) => StoreError::Cancelled(reason),
            WaitError::TimedOut { within, .. } => StoreError::Locked {
                what: what.to_owned(),
                pid: holder,
                within,
            },
        })
    }

    /// Removes the lock file of a removed machine. The lock itself is held until the drop.
    pub(crate) fn unlink(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing would not release the lock while a child process holds an inherited descriptor.
        let _ = self.file.unlock();
    }
}
