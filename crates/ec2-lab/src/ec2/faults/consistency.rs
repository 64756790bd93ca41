//! Eventual consistency: a fresh id may be unknown, then known, then unknown again.
//!
//! EC2 answers from replicas that lag behind ("Eventual consistency", EC2 API developer guide). A [`Blindness`] makes
//! that certain instead of rare. Duplicate checks and client tokens are not affected: there, EC2 is consistent.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// Deserializes a list of numbers of seconds.
fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Duration>, D::Error> {
    let numbers = Vec::<u64>::deserialize(from)?;
    Ok(numbers.into_iter().map(Duration::from_secs).collect())
}

/// The kinds of resources that can be hidden while fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Instances, by id and in lists.
    Instance,
    /// Key pairs, by name and at launch.
    KeyPair,
    /// Security groups, by id and in lists.
    SecurityGroup,
    /// The tags of any resource: in answers and for filters.
    Tags,
}

/// The times at which a fresh resource is invisible. The entries alternate, invisible first; after the last one the
/// resource stays visible.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blindness {
    /// By time since its creation.
    #[serde(rename = "seconds", deserialize_with = "seconds")]
    Time(Vec<Duration>),
    /// By the number of calls that would have shown it.
    Reads(Vec<u32>),
}

impl Blindness {
    /// Invisible for a window, visible for as long, then both once more.
    pub fn flicker(window: Duration) -> Self {
        Self::Time(vec![window; 3])
    }

    /// Invisible for the whole of EC2's consistency window of five minutes.
    pub fn whole_window() -> Self {
        Self::Time(vec![Duration::from_secs(300)])
    }

    fn hides(&self, age: Duration, reads: u32) -> bool {
        match self {
            Self::Time(spans) => within_odd(spans, age),
            Self::Reads(spans) => within_odd(spans, reads),
        }
    }
}

/// Returns whether `at` falls into the first, third, … of consecutive spans.
fn within_odd<T: Copy + PartialOrd + std::ops::Sub<Output = T>>(spans: &[T], at: T) -> bool {
    let mut rest = at;
    for (n, span) in spans.iter().enumerate() {
        if rest < *span {
            return n % 2 == 0;
        }
        rest = rest - *span;
    }
    false
}

/// The fresh resources of a region.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    modes: BTreeMap<Kind, Blindness>,
    fresh: RefCell<HashMap<(Kind, String), Fresh>>,
}

#[derive(Debug)]
struct Fresh {
    born: SystemTime,
    /// The call that created it, which always sees it.
    born_in: u64,
    reads: u32,
    last_call: u64,
    blindness: Blindness,
}

impl Freshness {
    /// Sets the blindness of resources created from now on.
    pub(crate) fn set(&mut self, modes: BTreeMap<Kind, Blindness>) {
        self.modes = modes;
    }

    pub(crate) fn born(&mut self, kind: Kind, id: &str, now: SystemTime, call: u64) {
        if let Some(blindness) = self.modes.get(&kind) {
            let fresh = Fresh {
                born: now,
                born_in: call,
                reads: 0,
                last_call: 0,
                blindness: blindness.clone(),
            };
            self.fresh.borrow_mut().insert((kind, id.to_owned()), fresh);
        }
    }

    /// Returns whether a call sees the resource. Several checks by one call count as one read.
    pub(crate) fn sees(&self, kind: Kind, id: &str, now: SystemTime, call: u64) -> bool {
        let mut all = self.fresh.borrow_mut();
        let Some(fresh) = all.get_mut(&(kind, id.to_owned())) else {
            return true;
        };
        if fresh.born_in == call {
            return true;
        }
        if fresh.last_call != 0 && fresh.last_call != call {
            fresh.reads += 1;
        }
        fresh.last_call = call;
        let age = now.duration_since(fresh.born).unwrap_or_default();
        !fresh.blindness.hides(age, fresh.reads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_alternate_from_invisible_to_visible() {
        let mode = Blindness::Reads(vec![1, 2, 1]);
        let hidden: Vec<bool> = (0..6).map(|n| mode.hides(Duration::ZERO, n)).collect();
        assert_eq!(hidden, [true, false, false, true, false, false]);
        let mode = Blindness::flicker(Duration::from_secs(2));
        let hidden: Vec<bool> = (0..7)
            .map(|s| mode.hides(Duration::from_secs(s), 0))
            .collect();
        assert_eq!(hidden, [true, true, false, false, true, true, false]);
    }
}
