//! The lab itself: the endpoint, the path of a call, the clock, control by tests.

pub(crate) mod actions;
pub(crate) mod builder;
pub(crate) mod call;
pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod foreign;
pub(crate) mod hosting;
pub(crate) mod iam;
pub(crate) mod policy;
pub(crate) mod server;
pub(crate) mod sharing;
pub(crate) mod view;
