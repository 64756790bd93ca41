//! Any bytes as the answer of EC2 to each action that the driver uses: nothing panics.
//!
//! `cargo +nightly fuzz run answers` in `drivers/amazonec2`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| driver_amazonec2::fuzzing::answers(bytes));
