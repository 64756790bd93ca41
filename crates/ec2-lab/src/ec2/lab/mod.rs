//! The lab itself: configuration, state, clock, control.

pub(crate) mod builder;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod foreign;
pub(crate) mod hosting;
pub(crate) mod state;
