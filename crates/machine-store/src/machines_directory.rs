//! Identity of the directory that holds the machines: `machines/` may be a separate disk, which may be missing or
//! restored from a backup.
//!
//! Without its disk, a store appears to have no machines, and `prune` would remove them all. The directory therefore
//! contains a mark, a file with random digits, and the id file records the mark and the directory's inode. A directory
//! without the mark, or another directory with the same mark, is treated like a store that was created at another
//! place.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::place::{Medium, agree, born, medium};
use crate::{Store, StoreError};

/// The mark's file in `machines/`. The Go binary and GitLab Runner read only directories there.
const MARK: &str = ".docker-machine-directory";
const LIMIT: u64 = 4 << 10;

/// Identity of a directory of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachinesDirectory {
    /// The mark: 32 hexadecimal digits.
    mark: String,
    inode: u64,
    /// Creation time, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
}

impl Store {
    fn mark_path(&self) -> PathBuf {
        self.layout.machines().join(MARK)
    }

    /// Reads the identity of the current directory; `None` if it has no mark or does not exist.
    fn marked_directory(&self) -> Result<Option<MachinesDirectory>, StoreError> {
        let bytes = match self.disk.read_ours(&self.mark_path(), LIMIT) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let mark = String::from_utf8_lossy(&bytes).trim().to_owned();
        if mark.len() != 32 || !mark.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let directory = self.layout.machines();
        let metadata = fs::metadata(&directory)
            .map_err(|source| StoreError::disk("read", &directory, source))?;
        Ok(Some(MachinesDirectory {
            mark,
            inode: metadata.ino(),
            born: born(&metadata),
        }))
    }

    /// Returns whether the current directory is the recorded one.
    pub(crate) fn has_machines_of(&self, recorded: &MachinesDirectory) -> Result<bool, StoreError> {
        let Some(here) = self.marked_directory()? else {
            return Ok(false);
        };
        let medium = match &self.surroundings {
            Some(around) => around.medium,
            None => medium(&self.layout.machines()),
        };
        let is_same_inode =
            recorded.inode == here.inode && agree(&recorded.born, &here.born) != Some(false);
        Ok(recorded.mark == here.mark && (is_same_inode || medium == Medium::Renumbered))
    }

    /// Creates the directory and its mark if they are missing. The caller must hold the lock of the id.
    pub(crate) fn mark_directory(&self) -> Result<MachinesDirectory, StoreError> {
        let directory = self.layout.machines();
        self.disk.make_directories(&directory)?;
        if let Some(marked) = self.marked_directory()? {
            return Ok(marked);
        }
        let (high, low) = (self.disk.ambient.random(), self.disk.ambient.random());
        let text = format!("{high:016x}{low:016x}\n");
        let path = self.mark_path();
        self.disk.write(&path, text.as_bytes(), 0o600)?;
        self.marked_directory()?
            .ok_or_else(|| StoreError::disk("read", &path, std::io::ErrorKind::InvalidData.into()))
    }
}
