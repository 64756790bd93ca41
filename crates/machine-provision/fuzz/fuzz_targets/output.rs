//! Arbitrary bytes as the output of the provisioning script: no input causes a panic or shows a control character.
//!
//! `cargo +nightly fuzz run output` in `crates/machine-provision`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| machine_provision::fuzzing::output(bytes));
