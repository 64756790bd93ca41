//! Which directory holds the machines: `machines/` may be a disk of its own, and not mounted, or restored.
//!
//! Without its disk a store looks as if it had no machines, and `prune` would remove them all. So the directory has
//! a mark, a file with random digits, and the id's file says which mark and which inode it was. A directory without
//! the mark, or another one with it, is treated like a store that was made elsewhere.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::place::{Medium, agree, born, medium};
use crate::{Store, StoreError};

/// The file in `machines/`. The Go binary and GitLab Runner read directories alone.
const MARK: &str = ".docker-machine-directory";
const LIMIT: u64 = 4 << 10;

/// A directory of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachinesDirectory {
    /// 32 hexadecimal digits.
    mark: String,
    inode: u64,
    /// Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
}

impl Store {
    fn mark_path(&self) -> PathBuf {
        self.layout.machines().join(MARK)
    }

    /// Reads which directory holds the machines; `None` where it has no mark, or is not there.
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

    /// Tells whether the directory on record is the one that is there.
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

    /// Makes the directory and its mark, as far as they are missing. For the holder of the lock of the id.
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
