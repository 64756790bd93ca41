//! Engine addresses and TLS, login, copies, keys.

pub(crate) mod address;
pub(crate) mod connect;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod reach;
