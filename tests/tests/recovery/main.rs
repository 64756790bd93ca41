//! A machine is never lost: wherever and however a command is interrupted, a later `rm` leaves nothing behind.
//!
//! Each fault is a separate run, with its own EC2, hosts and store. A command first runs once to record its places;
//! then once for each place and each fault. Under all conditions: see [`conditions::Conditions`].

#![allow(clippy::unwrap_used, reason = "unexpected results fail the test")]

mod account;
mod by_tags;
mod calls;
mod conditions;
mod copied_store;
mod fault_injection;
mod faults;
mod files;
mod fixture;
mod fleeting;
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
