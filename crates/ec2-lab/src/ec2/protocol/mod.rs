//! The Query protocol: requests, answers, errors, the table of actions.

pub(crate) mod actions;
pub(crate) mod call;
pub(crate) mod calls;
pub(crate) mod error;
pub(crate) mod filters;
pub(crate) mod query;
pub(crate) mod server;
pub(crate) mod types;
pub(crate) mod view;
pub(crate) mod wire;
pub(crate) mod xml;
