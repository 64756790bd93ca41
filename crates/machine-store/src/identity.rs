//! What tells this store from all others, and a store from an empty mount point.

use std::fmt;
use std::path::PathBuf;

use crate::layout::STORE_ID;
use crate::{Store, StoreError};

/// 128 random bits as 32 hexadecimal digits; a tag's value in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreId(String);

impl StoreId {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a store looks like to someone who wants to compare a cloud with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreCondition {
    /// The base directory is not there: not made yet, or its disk not mounted.
    Absent,
    /// The base directory is there, without an id: never used by this docker-machine, or a mount point
    /// without its disk.
    WithoutId {
        /// How many machines it has, all of the Go binary.
        machines: usize,
    },
    /// An id and no machines.
    Empty {
        /// The id.
        id: StoreId,
    },
    /// An id and machines.
    Used {
        /// The id.
        id: StoreId,
        /// How many.
        machines: usize,
    },
}

impl Store {
    fn id_path(&self) -> PathBuf {
        self.layout.under(STORE_ID)
    }

    /// Reads the store's id; `None` where it has none yet.
    ///
    /// # Errors
    /// [`StoreError::BadStoreId`] where the file holds something else; the disk.
    pub fn id(&self) -> Result<Option<StoreId>, StoreError> {
        let path = self.id_path();
        let text = match self.disk.read_text(&path, 1024) {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let id = text.trim();
        if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Some(StoreId(id.to_owned())))
        } else {
            Err(StoreError::BadStoreId { path })
        }
    }

    /// Reads the store's id, and makes it first where there is none. Many at once agree on one.
    ///
    /// # Errors
    /// As [`Store::id`].
    pub fn ensure_id(&self) -> Result<StoreId, StoreError> {
        if let Some(id) = self.id()? {
            return Ok(id);
        }
        self.disk.make_directories(self.base())?;
        let (high, low) = (self.disk.ambient.random(), self.disk.ambient.random());
        let fresh = format!("{high:016x}{low:016x}\n");
        let path = self.id_path();
        self.disk.write_once(&path, fresh.as_bytes(), 0o600)?;
        self.id()?.ok_or(StoreError::BadStoreId { path })
    }

    /// Tells what state the store as a whole is in.
    ///
    /// # Errors
    /// As [`Store::id`] and [`Store::names`].
    pub fn condition(&self) -> Result<StoreCondition, StoreError> {
        if !self.base().is_dir() {
            return Ok(StoreCondition::Absent);
        }
        let machines = self.names()?.len();
        Ok(match (self.id()?, machines) {
            (None, machines) => StoreCondition::WithoutId { machines },
            (Some(id), 0) => StoreCondition::Empty { id },
            (Some(id), machines) => StoreCondition::Used { id, machines },
        })
    }
}
