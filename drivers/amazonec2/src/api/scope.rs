//! Where something is, as the journal has it: account, region, endpoint.

use machine_ops::Scope;

const ACCOUNT: &str = "account";
const REGION: &str = "region";
const ENDPOINT: &str = "endpoint";

/// Returns a place whose account is not known.
pub(crate) fn place(region: &str, endpoint: &str) -> Scope {
    Scope::default()
        .with(REGION, region)
        .with(ENDPOINT, endpoint)
}

/// Returns what an answer told: the account, or nothing.
pub(crate) fn of_account(account: Option<String>) -> Scope {
    Scope::default().with(ACCOUNT, account.unwrap_or_default())
}

/// Returns the account, where it is known: the answer of a call tells it, no call is made for it.
pub(crate) fn account(scope: &Scope) -> Option<&str> {
    scope.get(ACCOUNT)
}

/// Returns the region.
pub(crate) fn region(scope: &Scope) -> &str {
    scope.get(REGION).unwrap_or_default()
}

/// Returns the endpoint's URL, empty for AWS's own.
pub(crate) fn endpoint(scope: &Scope) -> &str {
    scope.get(ENDPOINT).unwrap_or_default()
}
