//! Issuing, checking and renewing certificates.

pub(crate) mod age;
pub(crate) mod issue;
pub(crate) mod renewal;
