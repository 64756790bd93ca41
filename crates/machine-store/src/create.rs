//! How a machine's directory appears: complete, or not at all.

use std::io;
use std::path::Path;

use machine_types::MachineName;

use crate::layout::{CREATING, REMOVING, TOMBSTONES, name_between};
use crate::{MachineFile, MachineLock, MachineRecord, Store, StoreError};

/// A file of a new machine besides its `config.json`.
#[derive(Clone, Copy)]
pub struct NewFile<'a> {
    /// What it is called, without a path.
    pub name: &'a str,
    /// Its mode.
    pub mode: u32,
    /// What is in it.
    pub contents: &'a str,
}

impl<'a> NewFile<'a> {
    /// A file that every machine has, with its mode.
    pub const fn of(file: MachineFile, contents: &'a str) -> Self {
        Self {
            name: file.name(),
            mode: file.mode(),
            contents,
        }
    }
}

impl Store {
    /// Makes a machine's directory with its configuration and files, and lets it appear by one rename.
    /// Sweeps, in passing, what crashed creates and removes have left.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], also against a Go binary that does not know our locks; the disk. Nothing is
    /// left behind then, but for what the disk does not let us remove, which a later sweep does.
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
            // It may be gone after a power cut: better that it is gone now.
            let _ = self.disk.rename(&target, &unfinished);
            let _ = self.disk.remove_tree(&unfinished);
        }
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

    /// Removes what crashes have left among the machines: directories on their way out, directories of
    /// `locked` that never came to be, and those of others after an hour; beside them, files that were
    /// never completed. What resists is left to the next.
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

/// `rename(2)` onto a directory with something in it says `ENOTEMPTY` where it may not say `EEXIST`.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}
