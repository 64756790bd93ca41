//! The time of each last warning, so that a warning is not repeated on the same day.

use std::time::Duration;

use crate::Store;
use crate::layout::MARKS;

const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Returns true once in 24 hours for each subject, a word such as `ca-expires`. Always returns true where the
    /// store cannot be written: a repeated warning is better than a missing one.
    pub fn is_due(&self, subject: &str) -> bool {
        let path = self.layout.under(MARKS).join(subject);
        let age = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|given| self.disk.ambient.now().duration_since(given).ok());
        if age.is_some_and(|age| age < A_DAY) {
            return false;
        }
        let _ = self
            .disk
            .make_directories(&self.layout.under(MARKS))
            .and_then(|()| self.disk.write(&path, b"", 0o600));
        true
    }
}
