//! Arbitrary bytes as the response of EC2 to each action that the driver uses: no input causes a panic.
//!
//! `RUSTC_WRAPPER=$PWD/fuzz/rustc-wrapper cargo +nightly fuzz run --sanitizer none answers` in `drivers/amazonec2`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| driver_amazonec2::fuzzing::answers(bytes));
