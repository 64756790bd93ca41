//! Determines the account of the credentials: a not-found result counts only in the account of the resource.
//!
//! Queries EC2 before STS, which is not reachable from a private subnet with an endpoint for EC2 alone. Two things
//! prove the account, since only the owner sees them:
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

use crate::api::call_error::CallError;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::consistency::{CONSISTENCY_WINDOW, INSTANCE, age};
use crate::api::ec2::Ec2;
use crate::api::lookup::{self, filter};
use crate::api::scope;

/// Smallest page of instances that EC2 accepts (EC2 API Reference, DescribeInstances, MaxResults).
const FEWEST: i32 = 5;

/// Time for which an unresponsive STS is not called again, since each attempt takes seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// The STS endpoints that did not answer this process: the host, and the time of the call.
static SILENT: Mutex<BTreeMap<String, (String, Duration)>> = Mutex::new(BTreeMap::new());

/// Returns the account of the credentials, as proven by EC2 or else as reported by STS.
pub(crate) async fn caller(api: &Api, cx: &Cx) -> Result<Option<String>, CallError> {
    if let Some(proven) = proven(api, cx).await? {
        return Ok(Some(proven));
    }
    let account = identity(api, cx).await?.account;
    api.learn_account(account.as_deref());
    Ok(account)
}

/// Determines the account of the credentials if EC2 can prove it. Ignores errors, since no decision depends on it yet.
pub(crate) async fn learn(api: &Api, cx: &Cx) {
    if let Err(error) = proven(api, cx).await {
        cx.debug(format!("the account is not known yet: {error}"));
    }
}

/// Returns the account of the credentials if EC2 proves it.
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

/// Returns the result, or `None` if EC2 denies the query to these credentials.
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

/// Queries STS for the identity of the credentials: account, user or role.
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

/// Queries STS, unless it has just left a call of this process unanswered.
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

/// Returns whether an error means that the credentials themselves are invalid.
pub(crate) fn are_credentials_refused(error: &DriverError) -> bool {
    let call = error.cause().downcast_ref::<CallError>();
    call.is_some_and(|call| codes::is_bad_credentials(call.code()))
}

/// Returns a client with the provider chain's credentials in place of the machine's own, if both certainly belong to
/// one account. The machine's account is the one on record, or without a record the one that AWS reports for the saved
/// access key.
pub(crate) async fn of_the_environment(
    Ec2 { api, cx, saved }: Ec2<'_>,
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

/// Returns the account on record: the one in the response to a launch, even if that is undone by now, else the one
/// known before.
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

/// Returns the account in the response to a launch, whatever became of the launch. The account of an intent is less
/// reliable: it may come from a security group that another account shares.
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

/// Queries the account of an access key, whether or not the key is still valid.
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

/// Records the account of an instance that was just described, if the launch's response did not contain it, as with
/// CreateFleet.
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

/// Interprets a not-found result for a resource.
///
/// The resource is gone if it is older than EC2's consistency window and the caller belongs to the account on record.
/// Without a record, the caller has to see the VPC of a machine that the Go binary made. A machine that still has the
/// keys it was made with accepts the caller.
pub(crate) async fn gone(
    Ec2 { api, cx, saved }: Ec2<'_>,
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
        // For a machine of the Go binary only the VPC proves the account. Queried only after a not-found result.
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
