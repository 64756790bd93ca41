//! Machines that are removed from the store but may still exist in the cloud.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use machine_types::MachineName;

use crate::layout::{REMOVING, TOMBSTONES, name_between};
use crate::lock::{Attempt, LockedFile};
use crate::store::CONFIG_LIMIT;
use crate::{FileJournal, MachineFile, MachineLock, MachineRecord, Store, StoreError};

/// The files of a machine that a tombstone keeps.
const KEPT: [MachineFile; 2] = [MachineFile::Journal, MachineFile::Config];
/// The largest file that is copied into a tombstone: the largest journal.
const COPY_LIMIT: u64 = 16 << 20;

/// The remaining files of a machine: its journal and its configuration, including credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    name: MachineName,
    directory: PathBuf,
}

impl Tombstone {
    /// Returns the machine's name. Several tombstones can have the same one.
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Returns its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Exclusive access to one tombstone.
#[derive(Debug)]
#[must_use = "the lock is free again when this is dropped"]
pub struct TombstoneLock {
    _file: LockedFile,
}

impl Store {
    /// Lists the tombstones, sorted by name.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        let entries = self.disk.list(&self.layout.under(TOMBSTONES))?;
        Ok(entries
            .iter()
            .filter_map(|entry| {
                Some(Tombstone {
                    name: name_between(&entry.file_name().to_string_lossy(), "")?,
                    directory: entry.path(),
                })
            })
            .collect())
    }

    /// Moves a machine out of `machines/`: a rename turns it into a tombstone atomically. Keys and certificates are
    /// no longer needed and are removed from it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; if the disk returns an error, the machine still exists.
    pub fn entomb(&self, lock: MachineLock) -> Result<Tombstone, StoreError> {
        let from = self.directory(&lock.name);
        if !self.exists(&lock.name) {
            return Err(StoreError::NotFound { name: lock.name });
        }
        let graveyard = self.layout.under(TOMBSTONES);
        self.disk.make_directories(&graveyard)?;
        let chance = self.disk.ambient.random();
        let name = lock.name.clone();
        let directory = graveyard.join(format!("{name}-{chance:016x}"));
        match self.move_machine(&from, &directory) {
            Err(StoreError::Disk { source, .. }) if source.kind() == ErrorKind::CrossesDevices => {
                self.copy_record(&from, &directory)?;
                self.disk.sync_directory(&graveyard)?;
                self.remove(lock)?;
            }
            other => {
                other?;
                // Without it a power failure may restore the complete machine: not a reason to fail now.
                let _ = self.disk.sync_directory(&graveyard);
                let _ = self.disk.sync_directory(&self.layout.machines());
                self.strip(&directory);
                lock.file.unlink();
            }
        }
        Ok(Tombstone { name, directory })
    }

    /// Renames, unless the machine or `machines` is a link or a mount of another disk.
    fn move_machine(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        if from.is_symlink() {
            let source = ErrorKind::CrossesDevices.into();
            return Err(StoreError::disk("rename to", to, source));
        }
        self.disk.rename(from, to)
    }

    fn copy_record(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.disk.make_directory(to)?;
        for file in KEPT {
            match self.disk.read(&from.join(file.name()), COPY_LIMIT) {
                Err(error) if error.is_missing() => {}
                bytes => {
                    let path = to.join(file.name());
                    self.disk.write_new(&path, &bytes?, file.mode())?;
                }
            }
        }
        self.disk.sync_directory(to)
    }

    /// Removes all files except the record; files that cannot be removed stay, private, until the tombstone is
    /// removed.
    fn strip(&self, directory: &Path) {
        for entry in self.disk.list(directory).unwrap_or_default() {
            let name = entry.file_name();
            if !KEPT.iter().any(|kept| name == kept.name()) {
                let _ = self.disk.remove_tree(&entry.path());
            }
        }
    }

    /// Locks a tombstone; `None` where another process holds it, or it no longer exists.
    ///
    /// # Errors
    /// A disk error.
    pub fn try_lock_tombstone(
        &self,
        tombstone: &Tombstone,
    ) -> Result<Option<TombstoneLock>, StoreError> {
        if !tombstone.directory.is_dir() {
            return Ok(None);
        }
        let path = tombstone.directory.join(".lock");
        match LockedFile::attempt(&self.disk, &path)? {
            Attempt::Got(file) => Ok(Some(TombstoneLock { _file: file })),
            Attempt::Held { .. } => Ok(None),
        }
    }

    /// Returns a tombstone's journal, for undoing what it holds.
    pub fn tombstone_journal(&self, tombstone: &Tombstone) -> FileJournal {
        FileJournal::new(
            self.disk.clone(),
            tombstone.name.clone(),
            tombstone.directory.clone(),
            self.base().to_owned(),
        )
    }

    /// Reads the configuration that a tombstone keeps.
    ///
    /// # Errors
    /// Same as [`Store::try_load`]: the configuration may have been broken before the removal.
    pub fn tombstone_record(&self, tombstone: &Tombstone) -> Result<MachineRecord, StoreError> {
        let path = tombstone.directory.join(MachineFile::Config.name());
        let bytes = match self.disk.read(&path, CONFIG_LIMIT) {
            Err(error) if error.is_missing() => return Err(StoreError::ConfigMissing { path }),
            other => other?,
        };
        MachineRecord::parse(&bytes, &tombstone.name, &path, self.base())
    }

    /// Removes a tombstone once no resource of it is left in the cloud. Succeeds if it does not exist.
    ///
    /// # Errors
    /// A disk error; the tombstone then still exists, or is unlisted and left to a later sweep.
    pub fn remove_tombstone(&self, tombstone: &Tombstone) -> Result<(), StoreError> {
        // A rename removes it atomically: a partly removed tombstone must not look like one with an empty journal.
        let chance = self.disk.ambient.random();
        let grave = format!("{REMOVING}{}-{chance:016x}", tombstone.name);
        let grave = self.layout.under(TOMBSTONES).join(grave);
        match self.disk.rename(&tombstone.directory, &grave) {
            Err(error) if error.is_missing() => Ok(()),
            other => {
                other?;
                self.disk.remove_tree(&grave)
            }
        }
    }
}
