//! Recent results of pre-flight checks: a small record that creates of a store share.
//!
//! Of many parallel creates with the same parameters and credentials, one reads subnets, groups and image, and creates
//! missing groups; the others wait and use its results. The record only saves calls: a launch that fails because
//! a cached resource is missing reads everything again, and a record that cannot be locked, read or written is ignored.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroup, UserIdGroupPair,
};
use machine_driver::DriverError;
use machine_ops::{Cancel, Cx, Look, WaitPolicy, wait_until_ready};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::api::call_error::CallError;
use crate::api::codes;
use crate::api::ec2::Ec2;
use crate::api::shared_record::{SharedRecord, millis};
use crate::config::create_options::CreateOptions;
use crate::launch::candidates::Place;
use crate::launch::image_facts::ImageFacts;

/// Results of the checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct PreflightResult {
    pub(crate) places: Vec<Place>,
    pub(crate) groups: Vec<SecurityGroup>,
    pub(crate) facts: Facts,
    pub(crate) cache: Option<PreflightCache>,
    /// Whether they are from another create.
    pub(crate) are_cached: bool,
}

impl PreflightResult {
    /// Returns whether a launch may have failed because a cached result is out of date.
    pub(crate) fn are_outdated(&self, error: &DriverError) -> bool {
        let call = error.cause().downcast_ref::<CallError>();
        self.are_cached && call.is_some_and(|call| codes::is_missing_input(call.code()))
    }

    /// Returns the time of the queries (Unix time in milliseconds).
    pub(crate) fn asked(&self) -> u64 {
        self.facts.asked
    }

    /// Waits for another create that makes or opens the groups, or returns that this create has to do it.
    pub(crate) async fn turn(&self, cx: &Cx, is_done: impl Fn(&[SecurityGroup]) -> bool) -> Turn {
        match &self.cache {
            // Creates with other queries may make the same group.
            Some(cache) => {
                cache
                    .turn(cx, TIMEOUT, |facts| is_done(&facts.groups()))
                    .await
            }
            None => Turn::Alone,
        }
    }

    /// Shares the resulting groups with other creates.
    pub(crate) fn share(&self, cx: &Cx, turn: &Turn, groups: &[SecurityGroup]) {
        if let (Some(cache), Turn::Ours(file)) = (&self.cache, turn) {
            let mut facts = self.facts.clone();
            facts.set_groups(groups);
            cache.keep(cx, file, facts);
        }
    }
}

/// File name of the record.
const FILE: &str = ".ec2-preflight.json";

/// Validity of the results in milliseconds.
const BELIEVED: u64 = 15_000;

/// Timeout of the wait for another create with the same queries, whose calls have attempts of 12 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of the wait for a create with other queries, whose results do not help.
pub(crate) const OTHERS: Duration = Duration::from_secs(2);

/// Results of the queries before a launch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Time of the queries (Unix time in milliseconds).
    pub asked: u64,
    pub vpc: String,
    pub places: Vec<Place>,
    pub image: ImageFacts,
    groups: Vec<Group>,
}

/// The required data of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    id: Option<String>,
    name: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    protocol: Option<String>,
    from: Option<i32>,
    to: Option<i32>,
    v4: Vec<String>,
    v6: Vec<String>,
    prefix_lists: Vec<String>,
    groups: Vec<String>,
}

impl Facts {
    pub(crate) fn new(
        vpc: &str,
        places: Vec<Place>,
        image: ImageFacts,
        groups: &[SecurityGroup],
    ) -> Self {
        let mut facts = Self {
            vpc: vpc.to_owned(),
            places,
            image,
            ..Self::default()
        };
        facts.set_groups(groups);
        facts
    }

    pub(crate) fn groups(&self) -> Vec<SecurityGroup> {
        let rule = |rule: &Rule| {
            IpPermission::builder()
                .set_ip_protocol(rule.protocol.clone())
                .set_from_port(rule.from)
                .set_to_port(rule.to)
                .set_ip_ranges(Some(all(&rule.v4, |v4| {
                    IpRange::builder().cidr_ip(v4).build()
                })))
                .set_ipv6_ranges(Some(all(&rule.v6, |v6| {
                    Ipv6Range::builder().cidr_ipv6(v6).build()
                })))
                .set_prefix_list_ids(Some(all(&rule.prefix_lists, |list| {
                    PrefixListId::builder().prefix_list_id(list).build()
                })))
                .set_user_id_group_pairs(Some(all(&rule.groups, |group| {
                    UserIdGroupPair::builder().group_id(group).build()
                })))
                .build()
        };
        let groups = self.groups.iter().map(|group| {
            SecurityGroup::builder()
                .set_group_id(group.id.clone())
                .set_group_name(group.name.clone())
                .set_ip_permissions(Some(group.rules.iter().map(rule).collect()))
                .build()
        });
        groups.collect()
    }

    pub(crate) fn set_groups(&mut self, groups: &[SecurityGroup]) {
        let rule = |rule: &IpPermission| Rule {
            protocol: rule.ip_protocol.clone(),
            from: rule.from_port,
            to: rule.to_port,
            v4: texts(rule.ip_ranges(), |range| range.cidr_ip()),
            v6: texts(rule.ipv6_ranges(), |range| range.cidr_ipv6()),
            prefix_lists: texts(rule.prefix_list_ids(), |list| list.prefix_list_id()),
            groups: texts(rule.user_id_group_pairs(), |pair| pair.group_id()),
        };
        let groups = groups.iter().map(|group| Group {
            id: group.group_id.clone(),
            name: group.group_name.clone(),
            rules: group.ip_permissions().iter().map(rule).collect(),
        });
        self.groups = groups.collect();
    }
}

fn all<T>(texts: &[String], make: impl Fn(&str) -> T) -> Vec<T> {
    texts.iter().map(|text| make(text)).collect()
}

fn texts<T>(all: &[T], text: impl Fn(&T) -> Option<&str>) -> Vec<String> {
    let texts = all.iter().map(|one| text(one).unwrap_or_default());
    texts.map(str::to_owned).collect()
}

/// The results of one create, and its queries. Without results, the create that holds the lock makes the queries now.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// A SHA-256 digest of the queries and the credentials.
    question: String,
    /// Unix time in milliseconds.
    at: u64,
    facts: Option<Facts>,
}

/// The store's record, as used by a create.
#[derive(Debug, Clone)]
pub(crate) struct PreflightCache {
    record: SharedRecord,
    question: String,
}

/// Which create makes the queries.
#[derive(Debug)]
pub(crate) enum Turn {
    /// None: another create has just made them.
    Known(Facts),
    /// This create, while it holds the record's lock.
    Ours(File),
    /// Every create by itself, since the record is unusable or locked for too long.
    Alone,
}

impl PreflightCache {
    /// Returns the record for the queries of a create; `None` without credentials. An access key belongs to one
    /// account, so that one account's results are never shared with another.
    pub(crate) async fn of(
        Ec2 { api, cx, saved }: Ec2<'_>,
        store: &Path,
        create_options: &CreateOptions,
    ) -> Option<Self> {
        api.keys.load(cx).await.ok()?;
        let key_pair = saved.existing_key.then(|| saved.key_name.clone());
        let template = saved.use_fleet.then(|| saved.launch_template.clone());
        let question = json!({
            "access_key": api.keys.access_key()?,
            "route": api.route(),
            "region": api.region,
            "endpoint": api.endpoint,
            "vpc": saved.vpc_id,
            "zone": create_options.zone_given.then(|| saved.zone_name()),
            "default_zone": saved.zone_name(),
            "subnets": create_options.subnets,
            "groups": saved.security_group_names,
            "read_only": saved.security_group_read_only,
            "image": saved.ami,
            "types": create_options.instance_types,
            "key_pair": key_pair,
            "template": template,
        });
        // Credentials and passwords are not written to disk.
        let digest = Sha256::digest(question.to_string());
        Some(Self {
            record: SharedRecord::new(store, FILE),
            question: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Waits until another create has results that satisfy `enough`, or until this one has to make the queries. Waits for
    /// a create with other queries, which may be calling an endpoint that hangs, only for the time `others`.
    pub(crate) async fn turn(
        &self,
        cx: &Cx,
        others: Duration,
        enough: impl Fn(&Facts) -> bool,
    ) -> Turn {
        let known = || self.find(cx).filter(|facts| enough(facts));
        let Some(file) = self.record.open() else {
            return Turn::Alone;
        };
        let begun = cx.ambient.monotonic();
        let is_over = || cx.ambient.monotonic().saturating_sub(begun) >= others;
        let look = || match known() {
            Some(facts) => Look::Ready(Some(Turn::Known(facts))),
            None if file.try_lock().is_err() => match is_over() && self.is_anothers(cx) {
                true => Look::Ready(Some(Turn::Alone)),
                false => Look::Pending("under way".into()),
            },
            // Another create may have finished meanwhile.
            None => Look::Ready(known().map(Turn::Known)),
        };
        let policy = WaitPolicy::backing_off(
            Duration::from_millis(50),
            Duration::from_millis(400),
            TIMEOUT,
        );
        // The next step handles a cancellation itself.
        let steady = cx.with_cancel(Cancel::new());
        let waited = wait_until_ready(&steady, "another create's checks", policy, || {
            std::future::ready(Ok::<_, Infallible>(look()))
        });
        let waited = waited.await;
        match waited {
            Ok(Some(turn)) => turn,
            Ok(None) => {
                self.write(cx, &file, None);
                Turn::Ours(file)
            }
            Err(_) => Turn::Alone,
        }
    }

    /// Returns whether the create that holds the lock has other queries.
    fn is_anothers(&self, cx: &Cx) -> bool {
        let entries = self.load(millis(cx.ambient.now()));
        let mut under_way = entries.iter().filter(|entry| entry.facts.is_none());
        under_way.any(|entry| entry.question != self.question)
    }

    /// Saves the results for their validity period.
    pub(crate) fn keep(&self, cx: &Cx, file: &File, facts: Facts) {
        self.write(cx, file, Some(facts));
    }

    /// Writes the results of this create, or that it makes the queries now. Results that are not enough stay until then.
    fn write(&self, cx: &Cx, file: &File, facts: Option<Facts>) {
        let at = millis(cx.ambient.now());
        let mut entries = self.load(at);
        let is_replaced = |entry: &Entry| facts.is_some() && entry.question == self.question;
        entries.retain(|entry| entry.facts.is_some() && !is_replaced(entry));
        entries.push(Entry {
            question: self.question.clone(),
            at,
            facts,
        });
        if let Err(error) = SharedRecord::write(file, &entries) {
            let path = self.record.path().display();
            cx.debug(format!("cannot write {path}: {error}"));
        }
    }

    fn find(&self, cx: &Cx) -> Option<Facts> {
        let entries = self.load(millis(cx.ambient.now())).into_iter();
        let mut own = entries.filter(|entry| entry.question == self.question);
        own.find_map(|entry| entry.facts)
    }

    /// Reads the results that are still valid.
    fn load(&self, now: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.record.read();
        // Limits an entry's validity if the clock was set back.
        entries.retain(|entry| entry.at <= now && now - entry.at < BELIEVED);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_back_as_they_were() {
        let rule = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(22)
            .to_port(22)
            .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build())
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
            .prefix_list_ids(PrefixListId::builder().prefix_list_id("pl-1").build())
            .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-1").build());
        let group = SecurityGroup::builder()
            .group_id("sg-1")
            .group_name("workers")
            .ip_permissions(rule.build())
            .build();
        let facts = Facts::new(
            "vpc-1",
            Vec::new(),
            ImageFacts::default(),
            std::slice::from_ref(&group),
        );
        let text = serde_json::to_string(&facts).unwrap_or_default();
        let read: Option<Facts> = serde_json::from_str(&text).ok();
        assert_eq!(read.map(|facts| facts.groups()), Some(vec![group]));
    }
}
