//! How a machine's directory disappears: at once.

use crate::{MachineLock, Store, StoreError};

impl Store {
    /// Removes a machine's directory: it is no machine from one moment to the next, then it is emptied.
    /// A machine that is not there is fine. A link to a directory elsewhere loses the link alone.
    ///
    /// # Errors
    /// Where the disk refuses the rename: the machine is then still there, whole. What cannot be emptied
    /// afterwards is no machine any more, and left to the sweep of a later create or remove.
    pub fn remove(&self, lock: MachineLock) -> Result<(), StoreError> {
        let from = self.directory(&lock.name);
        let grave = self.layout.removing(&lock.name, self.disk.ambient.random());
        match self.disk.rename(&from, &grave) {
            Err(error) if error.is_missing() => {}
            other => {
                other?;
                // Without it a power cut may bring the machine back, whole: no reason to fail now.
                let _ = self.disk.sync_directory(&self.layout.machines());
            }
        }
        self.sweep(&lock.name);
        lock.file.unlink();
        Ok(())
    }
}
