//! The use cases with a driver whose cloud is in memory: creation, undo, removal by tags, renewal and listings.

#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod create;
mod fixture;
mod listing;
mod pools;
mod pruning;
mod removal;
mod renewal;
