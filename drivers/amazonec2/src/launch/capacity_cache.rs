//! Recent capacity shortages: a small record that parallel creates of a store share.
//!
//! It only saves calls: a listed candidate is tried last, and a record that cannot be read or written is ignored.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use machine_ops::files::{self, Links};
use serde::{Deserialize, Serialize};

use crate::api::codes;
use crate::launch::candidates::Candidate;

const FILE: &str = ".ec2-shortages.json";

/// Maximum size of the record that is read. A real one has a line for each instance type and zone.
const LARGEST: u64 = 1 << 20;

/// Time for which a shortage counts: a few minutes.
const BELIEVED: Duration = Duration::from_secs(180);

/// An entry of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shortage {
    region: String,
    spot: bool,
    instance_type: String,
    /// Empty for a quota, which applies to the region.
    zone: String,
    /// Unix time in seconds.
    until: u64,
}

/// The record as read at the start of a launch.
#[derive(Debug)]
pub(crate) struct CapacityCache {
    file: PathBuf,
    region: String,
    now: u64,
    known: Vec<Shortage>,
}

impl CapacityCache {
    /// Reads the store's record.
    pub(crate) fn read(store: &Path, region: &str, now: SystemTime) -> Self {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let file = store.join(FILE);
        Self {
            known: load(&file, now),
            file,
            region: region.to_owned(),
            now,
        }
    }

    /// Moves the candidates without capacity to the end and keeps the order otherwise.
    pub(crate) fn last(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        candidates.sort_by_key(|candidate| {
            self.known
                .iter()
                .any(|shortage| self.concerns(shortage, candidate))
        });
        candidates
    }

    fn concerns(&self, shortage: &Shortage, candidate: &Candidate) -> bool {
        shortage.region == self.region
            && shortage.spot == candidate.spot
            && shortage.instance_type == candidate.instance_type
            && (shortage.zone.is_empty() || shortage.zone == candidate.zone)
    }

    /// Records that a candidate had no capacity, for other creates. Skips values that a launch template determines,
    /// since other creates cannot compare them.
    pub(crate) fn note(&mut self, candidate: &Candidate, code: &str) {
        let zone = match codes::is_quota(code) {
            true => "",
            false if candidate.zone.is_empty() => return,
            false => &candidate.zone,
        };
        if candidate.instance_type.is_empty() {
            return;
        }
        let shortage = Shortage {
            region: self.region.clone(),
            spot: candidate.spot,
            instance_type: candidate.instance_type.clone(),
            zone: zone.to_owned(),
            until: self.now + BELIEVED.as_secs(),
        };
        // Other creates may have written meanwhile. A concurrent entry may be lost and is then found again.
        let mut all = load(&self.file, self.now);
        all.retain(|known| {
            Shortage {
                until: shortage.until,
                ..known.clone()
            } != shortage
        });
        all.push(shortage);
        self.known.clone_from(&all);
        let text = serde_json::to_vec(&all).unwrap_or_default();
        // A record that cannot be written is ignored.
        let unique = u64::from(std::process::id());
        let _ = files::replace_cache(&self.file, &text, 0o600, unique);
    }
}

fn load(file: &Path, now: u64) -> Vec<Shortage> {
    let text = files::read(file, LARGEST, Links::Refuse).unwrap_or_default();
    let mut all: Vec<Shortage> = serde_json::from_slice(&text).unwrap_or_default();
    // Limits an entry's time if the clock was set back.
    all.retain(|shortage| shortage.until > now && shortage.until <= now + BELIEVED.as_secs());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(instance_type: &str, zone: &str, spot: bool) -> Candidate {
        Candidate {
            instance_type: instance_type.into(),
            subnet: "s".into(),
            zone: zone.into(),
            spot,
        }
    }

    #[test]
    fn what_one_found_the_next_tries_last() {
        let store = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let all = vec![candidate("a", "z", false), candidate("b", "z", false)];
        CapacityCache::read(store.path(), "r", now).note(&all[0], "InsufficientInstanceCapacity");
        let order =
            |region: &str, now| CapacityCache::read(store.path(), region, now).last(all.clone());
        assert_eq!(order("r", now)[0].instance_type, "b");
        assert_eq!(order("other", now)[0].instance_type, "a");
        assert_eq!(order("r", now + BELIEVED)[0].instance_type, "a");
        std::fs::write(store.path().join(FILE), "{nonsense").unwrap();
        assert_eq!(order("r", now)[0].instance_type, "a");
    }

    #[test]
    fn a_quota_is_of_one_type_and_market_in_the_whole_region() {
        let store = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let mut shortages = CapacityCache::read(store.path(), "r", now);
        shortages.note(&candidate("a", "z", true), "MaxSpotInstanceCountExceeded");
        let first = |all: [Candidate; 2]| {
            let known = CapacityCache::read(store.path(), "r", now);
            known.last(all.to_vec()).remove(0)
        };
        let (a, b) = (candidate("a", "y", true), candidate("b", "z", true));
        let on_demand = candidate("a", "z", false);
        assert_eq!(first([a.clone(), on_demand.clone()]), on_demand);
        assert_eq!(first([a, b.clone()]), b);
        assert_eq!(first([b.clone(), on_demand]), b);
        shortages.note(&candidate("", "z", true), "MaxSpotInstanceCountExceeded");
        assert_eq!(first([candidate("", "z", true), b]).instance_type, "");
    }
}
