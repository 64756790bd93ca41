//! Never lose a machine: whatever cuts a command off, and wherever, a later `rm` leaves nothing behind.
//!
//! Each cut is a run of its own, with its own EC2, hosts and store. A command is run once to learn where
//! it can be cut; then once for each place and each way to be cut there. In every weather: see
//! [`weather::Weather`].

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect ends there"
)]

mod account;
mod by_tags;
mod calls;
mod copied_store;
mod files;
mod full_disk;
mod knife;
mod moments;
mod owned;
mod races;
mod removal;
mod replay;
mod room;
mod rotation;
mod signals;
mod store;
mod sweep;
mod trouble;
mod weather;
mod work;
