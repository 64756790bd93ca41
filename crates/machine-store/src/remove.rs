//! Removal of a machine's directory.

use crate::{MachineLock, Store, StoreError};

impl Store {
    /// Removes a machine's directory: a rename removes the machine atomically, then the directory is emptied.
    /// Succeeds if the machine does not exist. Of a link to a directory elsewhere only the link is removed.
    ///
    /// The disk refuses the rename: the machine is then still complete. Files that cannot be removed afterwards no
    /// longer belong to a machine; a sweep of a later create or remove removes them.
    pub fn remove(&self, lock: MachineLock) -> Result<(), StoreError> {
        let from = self.directory(&lock.name);
        let grave = self.layout.removing(&lock.name, self.disk.ambient.random());
        match self.disk.rename(&from, &grave) {
            Err(error) if error.is_missing() => {}
            other => {
                other?;
                // Without it a power failure may restore the complete machine: not a reason to fail now.
                let _ = self.disk.sync_directory(&self.layout.machines());
            }
        }
        self.sweep(&lock.name);
        lock.file.unlink();
        Ok(())
    }
}
