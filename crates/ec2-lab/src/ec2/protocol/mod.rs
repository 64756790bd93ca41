//! The Query protocol: requests, answers and errors.

pub(crate) mod arn;
pub(crate) mod calls;
pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod filters;
pub(crate) mod query;
pub(crate) mod time;
pub(crate) mod wire;
pub(crate) mod xml;
