//! Engine addresses and TLS, log-in, copies, keys.

pub(crate) mod address;
pub(crate) mod connect;
pub(crate) mod key;
pub(crate) mod login;
