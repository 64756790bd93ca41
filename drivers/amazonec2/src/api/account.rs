//! Whose account this is: a not-found counts only in the account where the thing was made.

use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use machine_driver::DriverError;
use machine_ops::{Cx, Phase, Resource, Undone};

use crate::api::call::CallError;
use crate::api::client::Api;
use crate::api::codes;
use crate::api::fresh::CONSISTENCY_WINDOW;
use crate::config::saved::Saved;
use crate::lifecycle::age;

/// Asks whose credentials these are: the account.
pub(crate) async fn caller(api: &Api, cx: &Cx) -> Result<Option<String>, CallError> {
    Ok(identity(api, cx).await?.account)
}

/// Asks whose credentials these are: account, user or role.
pub(crate) async fn identity(api: &Api, cx: &Cx) -> Result<GetCallerIdentityOutput, CallError> {
    let sts = api.sts();
    api.ask(cx, "GetCallerIdentity", |probe| {
        sts.get_caller_identity()
            .customize()
            .interceptor(probe)
            .send()
    })
    .await
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
        Phase::Made { account, .. } => account.clone(),
        _ => None,
    });
    told.or_else(|| {
        entries.into_iter().find_map(|entry| match entry.phase {
            Phase::Intent { intent } => intent.scope.account,
            _ => None,
        })
    })
}

/// Asks which account an access key is of, be it still good or not.
async fn owner_of(api: &Api, cx: &Cx, access_key: &str) -> Result<Option<String>, CallError> {
    let sts = api.sts();
    let answer = api
        .ask(cx, "GetAccessKeyInfo", |probe| {
            sts.get_access_key_info()
                .access_key_id(access_key)
                .customize()
                .interceptor(probe)
                .send()
        })
        .await?;
    Ok(answer.account)
}

/// Says what a not-found means for a resource.
///
/// Gone, where the resource is older than EC2's consistency window and the caller is of the account
/// on record. For want of a record, machines of the Go binary believe the caller, and so does a machine
/// that still has the keys it was made with.
pub(crate) async fn gone(
    api: &Api,
    cx: &Cx,
    saved: &Saved,
    resource: &Resource,
    what: &str,
) -> Result<Undone, DriverError> {
    let scope = &resource.intent.scope;
    let account = in_journal(cx).or_else(|| scope.account.clone());
    if account.is_none() && resource.step.is_some() && saved.access_key.is_empty() {
        return Ok(Undone::Unresolved(format!(
            "{what} was not found, and it is not on record in which account it was made"
        )));
    }
    if let Some(account) = &account {
        match caller(api, cx).await {
            Ok(Some(own)) if own == *account => {}
            Ok(own) => {
                let own = own.unwrap_or_else(|| "an unknown account".into());
                return Ok(Undone::Unresolved(format!(
                    "{what} is in account {account}, region {}, and the credentials are of {own}",
                    scope.region
                )));
            }
            Err(error) if error.is_denied() => return Err(error.into()),
            Err(error) => {
                return Ok(Undone::Unresolved(format!(
                    "{what} was not found, and nobody says whose account this is: {error}"
                )));
            }
        }
    }
    if resource.step.is_some()
        && resource.intent.kind == crate::launch::run_instances::KIND
        && age(cx, resource.at) < CONSISTENCY_WINDOW
    {
        return Ok(Undone::Unresolved(format!(
            "{what} was not found, but it is too young for EC2 to know for certain"
        )));
    }
    Ok(Undone::Gone)
}
