//! Request throttling by token buckets.
//!
//! Sizes and rates of [`Throttling::documented`] are those of "Request throttling for the
//! Amazon EC2 API", per account and region. Calls of a class share one bucket here: the
//! strictest reading of that page.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;

use crate::ec2::protocol::actions::Class;
use crate::ec2::protocol::query::Params;

/// One bucket: how many calls it holds, and how many it gains per second.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Bucket {
    /// Its capacity in calls; it starts full.
    pub size: f64,
    /// Calls per second.
    pub rate: f64,
}

/// The buckets of an account in a region.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Throttling {
    /// RunInstances and CreateFleet.
    pub launch: Bucket,
    /// Other calls that change something.
    pub mutating: Bucket,
    /// Calls that only read.
    pub describe: Bucket,
    /// Those of them with neither filter, id nor page size.
    pub describe_all: Bucket,
}

impl Throttling {
    /// EC2's documented defaults.
    pub fn documented() -> Self {
        let bucket = |size, rate| Bucket { size, rate };
        Self {
            launch: bucket(5.0, 2.0),
            mutating: bucket(50.0, 5.0),
            describe: bucket(100.0, 20.0),
            describe_all: bucket(50.0, 10.0),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    Launch,
    Mutating,
    Describe,
    DescribeAll,
}

/// How full the buckets are.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(String, String, Which), (f64, SystemTime)>);

impl Buckets {
    /// Takes one call out of its bucket; false where there is none left.
    pub(crate) fn take(
        &mut self,
        limits: &Throttling,
        (account, region): (&str, &str),
        class: Class,
        params: &Params,
        now: SystemTime,
    ) -> bool {
        let (which, bucket) = match class {
            Class::Free => return true,
            Class::Launch => (Which::Launch, limits.launch),
            Class::Mutating => (Which::Mutating, limits.mutating),
            Class::Describe if is_narrow(params) => (Which::Describe, limits.describe),
            Class::Describe => (Which::DescribeAll, limits.describe_all),
        };
        let key = (account.to_owned(), region.to_owned(), which);
        let (level, filled) = self.0.entry(key).or_insert((bucket.size, now));
        let gained = now
            .duration_since(*filled)
            .unwrap_or_default()
            .as_secs_f64()
            * bucket.rate;
        *level = (*level + gained).min(bucket.size);
        *filled = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

/// Whether a Describe call has a filter, ids, names or a page size: any parameter at all.
fn is_narrow(params: &Params) -> bool {
    params.map().keys().any(|k| k != "DryRun")
}
