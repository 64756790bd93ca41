//! Never lose a machine: whatever cuts a command off, and wherever, a later `rm` leaves nothing behind.
//!
//! Each cut is a run of its own, with its own EC2, hosts and store. A command is run once to learn where
//! it can be cut; then once for each place and each way to be cut there. Under all conditions: see
//! [`conditions::Conditions`].

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect ends there"
)]

mod account;
mod by_tags;
mod calls;
mod conditions;
mod copied_store;
mod fault_injection;
mod faults;
mod files;
mod fixture;
mod full_disk;
mod moments;
mod owned;
mod races;
mod removal;
mod replay;
mod rotation;
mod signals;
mod store;
mod sweep;
mod work;
