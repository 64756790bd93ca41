//! Fault injection: capacity, consistency, throttling, lost and false answers.

pub(crate) mod capacity;
pub(crate) mod consistency;
pub(crate) mod injection;
pub(crate) mod throttle;
pub(crate) mod tokens;
