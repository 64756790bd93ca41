//! Any bytes as what a host says when it is connected to: an error, and nothing else.
//!
//! `cargo +nightly fuzz run peer` in `crates/machine-ssh`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| machine_ssh::fuzzing::peer(bytes));
