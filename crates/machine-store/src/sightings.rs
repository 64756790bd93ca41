//! The times at which `prune` first saw resources for which the cloud gives no time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::layout::SIGHTINGS;
use crate::{Store, StoreError};

/// The maximum size of the file: some ten thousand items.
const LIMIT: u64 = 1 << 20;

/// When an item was seen, Unix time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The first time.
    pub first: u64,
    /// The last time. Between two times that are far apart, the item may have been in use.
    pub last: u64,
}

/// When items were seen, by the query that found them and by the item's name. An item that is missing from an answer
/// is forgotten: its time starts again when it reappears.
pub type Sightings = BTreeMap<String, BTreeMap<String, Sighting>>;

impl Store {
    /// Reads when items were seen. An unreadable file, or one of a version that kept the first time alone, counts as
    /// empty: all times start again, so items are kept longer.
    pub fn sightings(&self) -> Sightings {
        let text = self.disk.read_ours(&self.layout.under(SIGHTINGS), LIMIT);
        text.ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Saves the times of first sight.
    ///
    /// # Errors
    /// A disk error: the times start again on the next run.
    pub fn keep_sightings(&self, sightings: &Sightings) -> Result<(), StoreError> {
        let text = serde_json::to_vec(sightings).unwrap_or_default();
        self.disk.write(&self.layout.under(SIGHTINGS), &text, 0o600)
    }
}
