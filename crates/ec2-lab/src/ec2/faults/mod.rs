//! Fault injection: capacity, consistency, policies, throttling.

pub(crate) mod capacity;
pub(crate) mod consistency;
pub(crate) mod iam;
pub(crate) mod injection;
pub(crate) mod policy;
pub(crate) mod throttle;
pub(crate) mod tokens;
