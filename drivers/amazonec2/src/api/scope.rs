//! The place of a resource in the journal: account, region, endpoint.

use machine_ops::Scope;

const ACCOUNT: &str = "account";
const REGION: &str = "region";
const ENDPOINT: &str = "endpoint";

/// Returns a place with an unknown account.
pub(crate) fn place(region: &str, endpoint: &str) -> Scope {
    Scope::default()
        .with(REGION, region)
        .with(ENDPOINT, endpoint)
}

/// Returns a scope with the account of a response, or an empty scope.
pub(crate) fn of_account(account: Option<String>) -> Scope {
    Scope::default().with(ACCOUNT, account.unwrap_or_default())
}

/// Returns the account, if a response has contained it. Makes no call.
pub(crate) fn account(scope: &Scope) -> Option<&str> {
    scope.get(ACCOUNT)
}

/// Returns the region.
pub(crate) fn region(scope: &Scope) -> &str {
    scope.get(REGION).unwrap_or_default()
}

/// Returns the endpoint's URL; empty for AWS's own.
pub(crate) fn endpoint(scope: &Scope) -> &str {
    scope.get(ENDPOINT).unwrap_or_default()
}
