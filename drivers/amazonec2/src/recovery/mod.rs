//! Undoes the resources in the journal, and lists the resources that a store left in an account.

pub(crate) mod inventory;
pub(crate) mod origin;
pub(crate) mod undo;
