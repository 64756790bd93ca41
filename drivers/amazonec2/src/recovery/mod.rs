//! Undoing what the journal names, and listing what a store has left behind in an account.

pub(crate) mod inventory;
pub(crate) mod origin;
pub(crate) mod undo;
