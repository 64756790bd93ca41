//! Since when `prune` has seen what the cloud gives no time for.

use std::collections::BTreeMap;

use crate::layout::SIGHTINGS;
use crate::{Store, StoreError};

/// The largest file that is read: some ten thousand items.
const LIMIT: u64 = 1 << 20;

/// When an item was first seen, Unix time in milliseconds, by the question that found it and by the item's name. An
/// item that an answer lacks is forgotten: it begins anew when it comes back.
pub type Sightings = BTreeMap<String, BTreeMap<String, u64>>;

impl Store {
    /// Reads since when items have been seen. A file that cannot be read is none: all items begin anew, and
    /// are kept the longer.
    pub fn sightings(&self) -> Sightings {
        let text = self.disk.read_ours(&self.layout.under(SIGHTINGS), LIMIT);
        text.ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Keeps since when items have been seen.
    ///
    /// # Errors
    /// The disk: the items begin anew the next time.
    pub fn keep_sightings(&self, sightings: &Sightings) -> Result<(), StoreError> {
        let text = serde_json::to_vec(sightings).unwrap_or_default();
        self.disk.write(&self.layout.under(SIGHTINGS), &text, 0o600)
    }
}
