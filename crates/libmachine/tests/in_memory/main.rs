//! The use-cases over a driver whose cloud is in memory: what is made, undone, decided by tags, renewed and listed.

#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod create;
mod fixture;
mod listing;
mod pruning;
mod removal;
mod renewal;
