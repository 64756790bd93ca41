//! Removal of machines, rollback of creates, pruning of resources without a machine.

pub(crate) mod by_tags;
pub(crate) mod ownership;
pub(crate) mod prune;
pub(crate) mod removal_request;
pub(crate) mod remove;
pub(crate) mod rollback;
pub(crate) mod tombstones;
