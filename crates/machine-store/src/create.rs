//! Creation of a machine's directory: it appears complete, or not at all.

use std::io;
use std::path::Path;

use machine_types::MachineName;

use crate::layout::{CREATING, REMOVING, TOMBSTONES, name_between};
use crate::{MachineFile, MachineLock, MachineRecord, Store, StoreError};

/// A file of a new machine besides its `config.json`.
#[derive(Clone, Copy)]
pub struct NewFile<'a> {
    /// Its name, without a path.
    pub name: &'a str,
    /// Its mode.
    pub mode: u32,
    /// Its contents.
    pub contents: &'a str,
}

impl<'a> NewFile<'a> {
    /// Creates one of the files that every machine has, with its mode.
    pub const fn of(file: MachineFile, contents: &'a str) -> Self {
        Self {
            name: file.name(),
            mode: file.mode(),
            contents,
        }
    }
}

impl Store {
    /// Creates a machine's directory with its configuration and files; one rename makes it visible. Also sweeps the
    /// remains of crashed creates and removes.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], also against a Go binary, which does not use these locks; disk errors. After an
    /// error no part of the machine remains, except files that the disk does not allow to remove; a later sweep
    /// removes them.
    pub fn create(
        &self,
        lock: &MachineLock,
        record: &MachineRecord,
        files: &[NewFile<'_>],
    ) -> Result<(), StoreError> {
        let target = self.directory(&lock.name);
        if target.symlink_metadata().is_ok() {
            return Err(StoreError::AlreadyExists {
                name: lock.name.clone(),
            });
        }
        self.disk.make_directories(&self.layout.machines())?;
        self.sweep(&lock.name);
        let unfinished = self.layout.creating(&lock.name, self.disk.ambient.random());
        let made = self
            .fill(&unfinished, record, files)
            .and_then(|()| self.disk.rename_new(&unfinished, &target));
        if let Err(error) = made {
            let _ = self.disk.remove_tree(&unfinished);
            return Err(match error {
                StoreError::Disk { source, .. } if is_taken(&source) => StoreError::AlreadyExists {
                    name: lock.name.clone(),
                },
                other => other,
            });
        }
        let synced = self.disk.sync_directory(&self.layout.machines());
        if synced.is_err() {
            // A power failure could lose the machine: remove it now instead.
            let _ = self.disk.rename(&target, &unfinished);
            let _ = self.disk.remove_tree(&unfinished);
        }
        self.touch_id();
        synced
    }

    fn fill(
        &self,
        directory: &Path,
        record: &MachineRecord,
        files: &[NewFile<'_>],
    ) -> Result<(), StoreError> {
        self.disk.make_directory(directory)?;
        let config = directory.join(MachineFile::Config.name());
        let bytes = record.to_bytes(&config)?;
        self.disk
            .write_new(&config, &bytes, MachineFile::Config.mode())?;
        for new in files {
            let path = directory.join(new.name);
            self.disk
                .write_new(&path, new.contents.as_bytes(), new.mode)?;
        }
        self.disk.sync_directory(directory)
    }

    /// Removes the remains of crashes among the machines: directories under removal, incomplete directories of
    /// `locked`, and those of other machines after an hour; also incomplete files next to them. The next sweep
    /// retries whatever cannot be removed.
    pub(crate) fn sweep(&self, locked: &MachineName) {
        self.disk.sweep_files(self.base());
        let places = [self.layout.machines(), self.layout.under(TOMBSTONES)];
        for entry in places
            .iter()
            .flat_map(|place| self.disk.list(place).unwrap_or_default())
        {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let leftover = match name_between(&name, CREATING) {
                Some(machine) => machine == *locked || self.disk.is_stale(&entry),
                None => name_between(&name, REMOVING).is_some(),
            };
            if leftover {
                let _ = self.disk.remove_tree(&entry.path());
            }
        }
    }
}

/// Returns whether the target exists. `rename(2)` onto a directory that is not empty may return `ENOTEMPTY` instead
/// of `EEXIST`.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}
