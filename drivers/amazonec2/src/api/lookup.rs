//! Finds instances by ID, client token or tag. Uses only filters: one unknown ID fails a whole list of IDs, while a
//! filter returns the others.
//!
//! Checks every response against the filters again. The result may lead to a removal, and an endpoint that ignores
//! filters returns every resource.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, Instance, Tag};
use machine_ops::Cx;

use crate::api::call_error::CallError;
use crate::api::client::{Api, THROTTLED};

/// Maximum number of values of one filter (EC2 API Reference, DescribeInstances).
pub(crate) const MOST_VALUES: usize = 200;

/// Maximum size of one listing over all its pages: several times what a large account has under the tags of one store.
/// EC2 puts up to 1000 items into a page (EC2 API Reference, DescribeInstances, MaxResults).
const MOST_PAGES: usize = 100;
const MOST_ITEMS: usize = 10_000;
const MOST_BYTES: u64 = 32 << 20;
const LONGEST: Duration = THROTTLED;

/// Returns a filter with literal values.
pub(crate) fn filter(name: impl Into<String>, values: impl IntoIterator<Item = String>) -> Filter {
    pattern(name, values.into_iter().map(|value| literal(&value)))
}

/// Returns a filter with `*` and `?` as wildcards in its values.
pub(crate) fn pattern(name: impl Into<String>, values: impl IntoIterator<Item = String>) -> Filter {
    let values = values.into_iter().collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

/// Escapes a value for a filter: `\*amazon\?\\` stands for `*amazon?\` (EC2 API Reference, Filter).
fn literal(value: &str) -> String {
    let escaped = |c: char| matches!(c, '*' | '?' | '\\').then_some('\\');
    value
        .chars()
        .flat_map(|c| escaped(c).into_iter().chain([c]))
        .collect()
}

/// Returns a tag's value.
pub(crate) fn value_of<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

/// Checks one item of a response against the sent filters: tags, and the client token of an instance. Callers compare
/// IDs themselves.
///
/// # Errors
/// Returns [`CallError::Unfiltered`] with the item.
pub(crate) fn check(
    api: &Api,
    action: &'static str,
    filters: &[Filter],
    item: Option<&str>,
    tags: &[Tag],
    token: Option<&str>,
) -> Result<(), CallError> {
    let fails = |filter: &&Filter| {
        let is_meant = |own: &str| filter.values().contains(&literal(own));
        match filter.name().unwrap_or_default() {
            "tag-key" => !tags.iter().filter_map(Tag::key).any(is_meant),
            "client-token" => !token.is_some_and(is_meant),
            name => name
                .strip_prefix("tag:")
                .is_some_and(|key| !value_of(tags, key).is_some_and(is_meant)),
        }
    };
    match filters.iter().find(fails) {
        None => Ok(()),
        Some(filter) => {
            let name = filter.name().unwrap_or_default();
            Err(unfiltered(api, action, item, name))
        }
    }
}

/// Returns the error for an item that a filter should have excluded.
pub(crate) fn unfiltered(
    api: &Api,
    action: &'static str,
    item: Option<&str>,
    filter: &str,
) -> CallError {
    CallError::Unfiltered {
        action,
        region: api.region.clone(),
        endpoint: api.endpoint.clone(),
        item: item.unwrap_or("an item without an ID").to_owned(),
        filter: filter.to_owned(),
    }
}

/// Finds all instances that match the filters, page by page, with the account that owns each.
///
/// # Errors
/// Returns the call's error or [`CallError::Unfiltered`].
pub(crate) async fn instances(
    api: &Api,
    cx: &Cx,
    filters: Vec<Filter>,
) -> Result<Vec<(Instance, Option<String>)>, CallError> {
    let mut found = Vec::new();
    let mut pages = Pages::begin(api, cx, "DescribeInstances");
    loop {
        let answer = api
            .ask(cx, "DescribeInstances", |probe| {
                let call = api
                    .ec2
                    .describe_instances()
                    .set_filters(Some(filters.clone()));
                call.set_next_token(pages.token.clone())
                    .customize()
                    .interceptor(probe)
                    .send()
            })
            .await?;
        for reservation in answer.reservations.unwrap_or_default() {
            // Only the owner of a reservation sees it.
            api.learn_account(reservation.owner_id());
            let owner = reservation.owner_id;
            for instance in reservation.instances.unwrap_or_default() {
                let (id, token) = (instance.instance_id(), instance.client_token());
                check(
                    api,
                    "DescribeInstances",
                    &filters,
                    id,
                    instance.tags(),
                    token,
                )?;
                found.push((instance, owner.clone()));
            }
        }
        if !pages.turn(answer.next_token, found.len())? {
            return Ok(found);
        }
    }
}

/// Maximum length of a page's token. Those of EC2 have less than a kilobyte.
const LONGEST_TOKEN: usize = 16 << 10;

/// The pages of one listing, within bounds. A listing that exceeds a bound is an error and never truncated, since a
/// resource that is missing from a listing counts as gone.
pub(crate) struct Pages<'a> {
    api: &'a Api,
    cx: &'a Cx,
    action: &'static str,
    begun: Duration,
    /// The number of bytes that the client had read before.
    received: u64,
    tokens: HashSet<String>,
    /// The next page's token; `None` for the first page.
    pub token: Option<String>,
}

impl<'a> Pages<'a> {
    pub(crate) fn begin(api: &'a Api, cx: &'a Cx, action: &'static str) -> Self {
        Self {
            api,
            cx,
            action,
            begun: cx.ambient.monotonic(),
            received: api.received(),
            tokens: HashSet::new(),
            token: None,
        }
    }

    /// Moves to the page with this token. Returns `false` after the last page.
    ///
    /// # Errors
    /// Returns [`CallError::Endless`] if the listing, with `items` so far, exceeds a bound or returns to an earlier
    /// page.
    pub(crate) fn turn(&mut self, next: Option<String>, items: usize) -> Result<bool, CallError> {
        let bytes = self.api.received().saturating_sub(self.received);
        let took = self.cx.ambient.monotonic().saturating_sub(self.begun);
        self.token = next.filter(|token| !token.is_empty());
        let why = match &self.token {
            _ if items > MOST_ITEMS => format!("more than {MOST_ITEMS} items"),
            None => return Ok(false),
            Some(token) if token.len() > LONGEST_TOKEN => {
                format!("a token of more than {} KiB", LONGEST_TOKEN >> 10)
            }
            Some(token) if !self.tokens.insert(token.clone()) => "the same page again".to_owned(),
            _ if self.tokens.len() >= MOST_PAGES => format!("more than {MOST_PAGES} pages"),
            _ if bytes > MOST_BYTES => format!("more than {} MiB", MOST_BYTES >> 20),
            _ if took > LONGEST => format!("more than {} s", LONGEST.as_secs()),
            _ => return Ok(true),
        };
        Err(CallError::Endless {
            action: self.action,
            region: self.api.region.clone(),
            why,
        })
    }
}

/// Finds one instance.
pub(crate) async fn instance(api: &Api, cx: &Cx, id: &str) -> Result<Option<Instance>, CallError> {
    let found = instances(api, cx, vec![filter("instance-id", [id.to_owned()])]).await?;
    Ok(found
        .into_iter()
        .map(|(instance, _)| instance)
        .find(|i| i.instance_id() == Some(id)))
}

/// Name of each VPC's default group. No other group can have it.
pub(crate) const DEFAULT_GROUP: &str = "default";

/// Describes groups. Records the account from default groups only, since another account may share any other group.
pub(crate) async fn security_groups(
    api: &Api,
    cx: &Cx,
    filters: Vec<Filter>,
) -> Result<Vec<aws_sdk_ec2::types::SecurityGroup>, CallError> {
    let answer = api
        .ask(cx, "DescribeSecurityGroups", |probe| {
            let call = api
                .ec2
                .describe_security_groups()
                .set_filters(Some(filters.clone()));
            call.customize().interceptor(probe).send()
        })
        .await?;
    let groups = answer.security_groups.unwrap_or_default();
    let defaults = groups
        .iter()
        .filter(|group| group.group_name() == Some(DEFAULT_GROUP));
    let owners: Vec<&str> = defaults.filter_map(|group| group.owner_id()).collect();
    if let [first, others @ ..] = owners.as_slice()
        && others.iter().all(|other| other == first)
    {
        api.learn_account(Some(first));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_a_literal_value_are_escaped() {
        assert_eq!(literal(r"*amazon?\"), r"\*amazon\?\\");
        assert_eq!(literal("build-1"), "build-1");
    }
}
