//! Whose account this is: a not-found counts only in the account where the thing was made.
//!
//! EC2 is asked before STS, which a private subnet with an endpoint of EC2 alone does not reach. What proves the
//! account is what its owner alone sees:
//! - a VPC's default security group: it is the VPC owner's, "cannot be shared" (Amazon VPC User Guide, "Share security
//!   groups"), and of a shared VPC the other accounts "cannot view" it ("Share your VPC subnets with other accounts");
//! - an instance: its reservation names "the account that owns the reservation" (EC2 API Reference, Reservation).
//!
//! Other security groups, VPCs and subnets prove nothing: AWS RAM may share those of another account.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use machine_driver::DriverError;
use machine_ops::{Cx, Entry, JournalError, Ownership, Phase, Resource, Undone, open_resources};
use machine_types::one_line;

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::journal::{INSTANCE, age};
use crate::api::lookup::{self, filter};
use crate::api::retry::CONSISTENCY_WINDOW;
use crate::api::scope;
use crate::config::saved::Saved;

/// The smallest page of instances that EC2 takes (EC2 API Reference, DescribeInstances, MaxResults).
const FEWEST: i32 = 5;

/// How long an STS that did not answer counts as silent: each question costs seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// The accounts that this process has learned, by endpoint and access key.
static LEARNED: Mutex<BTreeMap<(String, String), String>> = Mutex::new(BTreeMap::new());

/// The STS endpoints that did not answer this process: the host, and when it was asked.
static SILENT: Mutex<BTreeMap<String, (String, Duration)>> = Mutex::new(BTreeMap::new());

/// Returns the account of an access key, where this process has learned it.
pub(crate) fn remembered(endpoint: &str, access_key: &str) -> Option<String> {
    let learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (endpoint.to_owned(), access_key.to_owned());
    learned.get(&key).cloned()
}

/// Remembers the account of an access key, for every client of this process.
pub(crate) fn remember(endpoint: &str, access_key: &str, account: &str) {
    let mut learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (endpoint.to_owned(), access_key.to_owned());
    learned.insert(key, account.to_owned());
}

/// Returns the account of the credentials: as EC2 proves it, else as STS says.
pub(crate) async fn caller(api: &Api, cx: &Cx) -> Result<Option<String>, CallError> {
    if let Some(proven) = proven(api, cx).await? {
        return Ok(Some(proven));
    }
    let account = identity(api, cx).await?.account;
    api.learn_account(account.as_deref());
    Ok(account)
}

/// Learns the account of the credentials, where EC2 can prove it. Nothing depends on it yet: an error is not one.
pub(crate) async fn learn(api: &Api, cx: &Cx) {
    if let Err(error) = proven(api, cx).await {
        cx.debug(format!("the account is not known yet: {error}"));
    }
}

/// Returns the account of the credentials, where EC2 has proven it or can.
pub(crate) async fn proven(api: &Api, cx: &Cx) -> Result<Option<String>, CallError> {
    if api.account().is_none() {
        let default = filter("group-name", [lookup::DEFAULT_GROUP.to_owned()]);
        unless_refused(lookup::security_groups(api, cx, vec![default]).await)?;
    }
    if api.account().is_none() {
        let few = api.ask(cx, "DescribeInstances", |probe| {
            let call = api.ec2.describe_instances().max_results(FEWEST);
            call.customize().interceptor(probe).send()
        });
        let answer = unless_refused(few.await)?;
        let reservations = answer.and_then(|answer| answer.reservations);
        let first = reservations.unwrap_or_default().into_iter().next();
        api.learn_account(first.and_then(|first| first.owner_id).as_deref());
    }
    Ok(api.account())
}

/// Returns the answer, and `None` for a question that EC2 refuses to these credentials.
fn unless_refused<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Refused { code, .. })
            if !codes::is_bad_credentials(&code) && !codes::is_throttling(&code) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks STS whose credentials these are: account, user or role.
pub(crate) async fn identity(api: &Api, cx: &Cx) -> Result<GetCallerIdentityOutput, CallError> {
    let (sts, action) = (api.sts(), "GetCallerIdentity");
    let asked = api.ask(cx, action, |probe| {
        sts.get_caller_identity()
            .customize()
            .interceptor(probe)
            .send()
    });
    unless_silent(api, cx, action, asked).await
}

/// Asks STS, unless it has just left a question of this process without an answer.
async fn unless_silent<T>(
    api: &Api,
    cx: &Cx,
    action: &'static str,
    asked: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let (now, region) = (cx.ambient.monotonic(), &api.region);
    let sts = api.sts_endpoint().unwrap_or(region).to_owned();
    let known = || SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    let silent = known().get(&sts).cloned();
    if let Some((host, at)) = silent
        && now.checked_sub(at).is_some_and(|since| since < SILENCE)
    {
        return Err(CallError::Silent {
            action,
            region: region.clone(),
            host,
        });
    }
    let answer = asked.await;
    if let Err(CallError::NoAnswer { endpoint, .. }) = &answer {
        known().insert(sts, (endpoint.clone(), cx.ambient.monotonic()));
    }
    answer
}

/// Tells whether an error says that the keys themselves are no good.
pub(crate) fn are_credentials_refused(error: &DriverError) -> bool {
    let call = error.cause().downcast_ref::<CallError>();
    call.is_some_and(|call| codes::is_bad_credentials(call.code()))
}

/// Returns a client with the provider chain's credentials instead of the machine's own, where both
/// are certainly of one account: the one on record, or for want of a record the one that AWS says the
/// saved access key is of.
pub(crate) async fn of_the_environment(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    on_record: Option<&str>,
) -> Option<Api> {
    if saved.access_key.is_empty() {
        return None;
    }
    let fresh = api.of_the_environment(saved);
    let own = caller(&fresh, cx).await.ok()??;
    let known = match on_record.map(str::to_owned).or_else(|| in_journal(cx)) {
        Some(known) => known,
        None => owner_of(&fresh, cx, &saved.access_key).await.ok()??,
    };
    if own != known {
        return None;
    }
    cx.warn(format!(
        "({}) AWS refuses the saved credentials; going on with those of the environment, of the same account {own}",
        saved.base.machine_name
    ));
    Some(fresh)
}

/// Returns the account on record: the one that the answer to a launch named, be it undone by now, else the
/// one that was known before.
fn in_journal(cx: &Cx) -> Option<String> {
    let entries = cx.journal.entries().unwrap_or_default();
    let told = entries.iter().find_map(|entry| match &entry.phase {
        Phase::Made { scope, .. } => scope::account(scope).map(str::to_owned),
        _ => None,
    });
    told.or_else(|| {
        entries.into_iter().find_map(|entry| match entry.phase {
            Phase::Intent { intent } => scope::account(&intent.scope).map(str::to_owned),
            _ => None,
        })
    })
}

/// Returns the account that the answer to a launch named, whatever became of it. What an intent says was learned
/// from something else before: a security group, which may be shared from another account.
pub(crate) fn of_launches(entries: &[Entry]) -> Option<String> {
    let is_ours = |step: u64| {
        entries.iter().any(|entry| {
            entry.step == step
                && matches!(&entry.phase, Phase::Intent { intent } if intent.ownership == Ownership::Ours)
        })
    };
    entries.iter().rev().find_map(|entry| match &entry.phase {
        Phase::Made { scope, .. } if is_ours(entry.step) => {
            scope::account(scope).map(str::to_owned)
        }
        _ => None,
    })
}

/// Asks which account an access key is of, be it still good or not.
async fn owner_of(api: &Api, cx: &Cx, access_key: &str) -> Result<Option<String>, CallError> {
    let (sts, action) = (api.sts(), "GetAccessKeyInfo");
    let asked = api.ask(cx, action, |probe| {
        sts.get_access_key_info()
            .access_key_id(access_key)
            .customize()
            .interceptor(probe)
            .send()
    });
    Ok(unless_silent(api, cx, action, asked).await?.account)
}

/// Puts the account of an instance on record that was just described, where the launch's answer named none, as
/// CreateFleet's does.
pub(crate) fn put_on_record(api: &Api, cx: &Cx, id: &str) -> Result<(), JournalError> {
    let account = api.account();
    for resource in open_resources(&cx.journal.entries()?) {
        if account.is_some()
            && scope::account(&resource.intent.scope).is_none()
            && let Some(step) = resource.step
            && let Some(own) = resource.id.filter(|own| own == id)
        {
            let (id, scope) = (Some(own), scope::of_account(account.clone()));
            cx.record(step, &resource.name, Phase::Made { id, scope })?;
        }
    }
    Ok(())
}

/// Says what a not-found means for a resource.
///
/// Gone, where the resource is older than EC2's consistency window and the caller is of the account
/// on record. For want of a record, the caller of a machine of the Go binary has to see its VPC, and a machine that
/// still has the keys it was made with believes the caller.
pub(crate) async fn gone(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    resource: &Resource,
    what: &str,
) -> Result<Undone, DriverError> {
    let place = &resource.intent.scope;
    let account = in_journal(cx).or_else(|| scope::account(place).map(str::to_owned));
    if account.is_none() && resource.step.is_some() && saved.access_key.is_empty() {
        return Ok(Undone::Unresolved(format!(
            "{what} was not found, and it is not on record in which account it was made"
        )));
    }
    if account.is_none() && resource.step.is_none() && !saved.vpc_id.is_empty() {
        // Of a machine of the Go binary the VPC is all that tells. Asked for what was not found alone.
        let of_vpc = filter("vpc-id", [saved.vpc_id.clone()]);
        match lookup::security_groups(api, cx, vec![of_vpc]).await {
            Ok(found) if !found.is_empty() => {}
            Ok(_) => {
                return Ok(Undone::Unresolved(format!(
                    "{what} was not found, and neither was its VPC {}: check the account of the credentials",
                    saved.vpc_id
                )));
            }
            Err(error) if codes::is_bad_credentials(error.code()) => return Err(error.into()),
            Err(error) => {
                return Ok(Undone::Unresolved(format!(
                    "{what} was not found, and the account of the credentials is not known: {}",
                    one_line(&error)
                )));
            }
        }
    }
    if let Some(account) = &account {
        match caller(api, cx).await {
            Ok(Some(own)) if own == *account => {}
            Ok(own) => {
                let own = own.unwrap_or_else(|| "an unknown account".into());
                return Ok(Undone::Unresolved(format!(
                    "{what} is in account {account}, region {}, and the credentials are of {own}",
                    scope::region(place)
                )));
            }
            Err(error) if error.is_denied() => return Err(error.into()),
            Err(error) => {
                return Ok(Undone::Unresolved(format!(
                    "{what} was not found, and the account of the credentials is not known: {}",
                    one_line(&error)
                )));
            }
        }
    }
    if resource.step.is_some()
        && resource.intent.kind == INSTANCE
        && age(cx, resource.at) < CONSISTENCY_WINDOW
    {
        return Ok(Undone::Unresolved(format!(
            "{what} was not found, but it is too young for EC2 to know for certain"
        )));
    }
    Ok(Undone::Gone)
}
