//! Arbitrary SFTP responses of a host: no operation panics, and every operation ends.
//!
//! `cargo +nightly fuzz run sftp` in `crates/machine-ssh`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| machine_ssh::fuzzing::sftp(bytes));
