//! Engine addresses and TLS, log-in, copies, keys.

pub(crate) mod connect;
pub(crate) mod key;
pub(crate) mod login;
