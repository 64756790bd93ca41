//! Request throttling by token buckets.
//!
//! Sizes and rates of [`Throttling::documented`] are those of "Request throttling for the Amazon EC2 API" (EC2
//! Developer Guide), per account and region. "Each API is evaluated individually": each action has a separate bucket.
//! [`Throttling::shared_by_class`] follows that page's older editions, where the actions of a class share one bucket.
//! Resource rate limits (1000 instances at once) are not simulated.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;

use crate::ec2::protocol::query::Params;

/// The throttling class of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Starts instances.
    Launch,
    /// Changes a resource.
    Mutating,
    /// Only reads.
    Describe,
    /// Not an EC2 action: never throttled here.
    Free,
}

/// One bucket: its capacity, and its refill rate per second.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Bucket {
    /// Its capacity in calls; it starts full.
    pub size: f64,
    /// Calls per second.
    pub rate: f64,
}

impl Bucket {
    /// Returns the bucket with size and rate multiplied; its capacity is at least one call.
    pub fn times(self, factor: f64) -> Self {
        Self {
            size: (self.size * factor).max(1.0),
            rate: self.rate * factor,
        }
    }
}

/// The buckets of an account in a region.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Throttling {
    /// RunInstances and StartInstances.
    pub launch: Bucket,
    /// Other calls that change something.
    pub mutating: Bucket,
    /// TerminateInstances, DeleteVolume and AssociateIamInstanceProfile.
    #[serde(default = "documented_large")]
    pub large: Bucket,
    /// CreateTags and DeleteTags.
    #[serde(default = "documented_tags")]
    pub tags: Bucket,
    /// Calls that only read.
    pub describe: Bucket,
    /// Read calls that list everything of a kind: with neither filter, id nor page size.
    pub describe_all: Bucket,
    /// Whether the actions of a class share one bucket: launches, other changes, reads.
    #[serde(default)]
    pub shared: bool,
}

const fn bucket(size: f64, rate: f64) -> Bucket {
    Bucket { size, rate }
}

fn documented_large() -> Bucket {
    bucket(100.0, 5.0)
}

fn documented_tags() -> Bucket {
    bucket(100.0, 10.0)
}

impl Throttling {
    /// EC2's documented defaults.
    pub fn documented() -> Self {
        Self {
            launch: bucket(5.0, 2.0),
            mutating: bucket(50.0, 5.0),
            large: documented_large(),
            tags: documented_tags(),
            describe: bucket(100.0, 20.0),
            describe_all: bucket(50.0, 10.0),
            shared: false,
        }
    }

    /// Returns the documented defaults, with one bucket for the actions of a class.
    pub fn shared_by_class() -> Self {
        Self {
            shared: true,
            ..Self::documented()
        }
    }

    /// Returns the same with all buckets multiplied: a raised quota, or one shared with other users.
    pub fn times(self, factor: f64) -> Self {
        Self {
            launch: self.launch.times(factor),
            mutating: self.mutating.times(factor),
            large: self.large.times(factor),
            tags: self.tags.times(factor),
            describe: self.describe.times(factor),
            describe_all: self.describe_all.times(factor),
            shared: self.shared,
        }
    }

    /// Returns the bucket of an action.
    fn bucket(&self, action: &str, class: Class, params: &Params) -> Option<Bucket> {
        Some(match (class, action) {
            (Class::Free, _) => return None,
            (Class::Launch, _) => self.launch,
            (Class::Mutating, _) if self.shared => self.mutating,
            (
                Class::Mutating,
                "TerminateInstances" | "DeleteVolume" | "AssociateIamInstanceProfile",
            ) => self.large,
            (Class::Mutating, "CreateTags" | "DeleteTags") => self.tags,
            (Class::Mutating, _) => self.mutating,
            (Class::Describe, _) if is_wide(action, params) => self.describe_all,
            (Class::Describe, _) => self.describe,
        })
    }
}

/// A bucket and its fill level.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    bucket: Bucket,
    level: f64,
    filled: SystemTime,
}

impl TokenBucket {
    /// Makes a full bucket.
    pub fn full(bucket: Bucket, now: SystemTime) -> Self {
        Self {
            bucket,
            level: bucket.size,
            filled: now,
        }
    }

    /// Takes one call out; false if the bucket is empty.
    pub fn take(&mut self, now: SystemTime) -> bool {
        let elapsed = now.duration_since(self.filled).unwrap_or_default();
        let gained = elapsed.as_secs_f64() * self.bucket.rate;
        self.level = (self.level + gained).min(self.bucket.size);
        self.filled = now;
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }
}

/// The fill levels of the buckets, by account, region, and action or class.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(String, String, String), TokenBucket>);

impl Buckets {
    /// Takes one call out of its bucket; false if the bucket is empty.
    pub(crate) fn take(
        &mut self,
        limits: &Throttling,
        (account, region): (&str, &str),
        (action, class): (&str, Class),
        params: &Params,
        now: SystemTime,
    ) -> bool {
        let Some(bucket) = limits.bucket(action, class, params) else {
            return true;
        };
        let whose = match limits.shared {
            true => format!("{class:?}"),
            false => action.to_owned(),
        };
        let wide = is_wide(action, params);
        let key = (
            account.to_owned(),
            region.to_owned(),
            format!("{whose} {wide}"),
        );
        let full = || TokenBucket::full(bucket, now);
        self.0.entry(key).or_insert_with(full).take(now)
    }
}

/// Returns whether a call is one of the "unfiltered and unpaginated non-mutating actions": any parameter narrows it.
fn is_wide(action: &str, params: &Params) -> bool {
    let has_own_bucket = matches!(
        action,
        "DescribeInstances"
            | "DescribeInstanceStatus"
            | "DescribeNetworkInterfaces"
            | "DescribeSecurityGroups"
            | "DescribeSnapshots"
            | "DescribeSpotInstanceRequests"
            | "DescribeVolumes"
    );
    has_own_bucket && params.map().keys().all(|k| k == "DryRun")
}
