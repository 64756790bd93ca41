//! Access to EC2 and STS: client, credentials, calls with their errors, retries and rate limit.

pub(crate) mod account;
pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod call_error;
pub(crate) mod client;
pub(crate) mod codes;
pub(crate) mod consistency;
pub(crate) mod credentials;
pub(crate) mod ec2;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod known_accounts;
pub(crate) mod lookup;
pub(crate) mod metadata;
pub(crate) mod permissions;
pub(crate) mod rate_limit;
pub(crate) mod scope;
pub(crate) mod shared_record;
