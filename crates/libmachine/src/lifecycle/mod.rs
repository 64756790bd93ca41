//! Create, start, stop, restart, provision, upgrade, labels.

pub(crate) mod create;
pub(crate) mod labels;
pub(crate) mod power;
pub(crate) mod provisioning;
pub(crate) mod watch;
