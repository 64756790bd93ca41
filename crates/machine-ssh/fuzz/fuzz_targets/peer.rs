//! Arbitrary bytes from a host after the connection: the result is always an error, never a panic or a hang.
//!
//! `cargo +nightly fuzz run peer` in `crates/machine-ssh`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| machine_ssh::fuzzing::peer(bytes));
