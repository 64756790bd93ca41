//! Whose account this is: a not-found counts only in the account where the thing was made.

use machine_driver::DriverError;
use machine_flow::{Cx, Resource, Undone};

use crate::call::CallError;
use crate::client::Api;
use crate::fresh::CONSISTENCY_WINDOW;
use crate::lifecycle::age;

/// Asks whose credentials these are.
pub(crate) async fn caller(api: &Api, cx: &Cx) -> Result<Option<String>, CallError> {
    let sts = api.sts();
    let answer = api
        .ask(cx, "GetCallerIdentity", |probe| {
            sts.get_caller_identity()
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
/// on record; for want of a record (machines of the Go binary) the caller is believed.
pub(crate) async fn gone(
    api: &Api,
    cx: &Cx,
    resource: &Resource,
    what: &str,
) -> Result<Undone, DriverError> {
    let scope = &resource.intent.scope;
    if let Some(account) = &scope.account {
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
        && resource.intent.kind == crate::launch::KIND
        && age(cx, resource.at) < CONSISTENCY_WINDOW
    {
        return Ok(Undone::Unresolved(format!(
            "{what} was not found, but it is too young for EC2 to know for certain"
        )));
    }
    Ok(Undone::Gone)
}
