//! The harness of the whole-binary tests: where the binary is, and what it is run against.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that meets what it did not expect ends the test"
)]

pub mod certificates;
pub mod containers;
pub mod flows;
pub mod keys;
pub mod moto;
pub mod pages;
pub mod real_hosts;
pub mod shown;
pub mod sshd;
pub mod suite;
pub mod terminal;
pub mod web;
pub mod wire;

use std::path::PathBuf;

/// Returns the `docker-machine` under test: `DOCKER_MACHINE_BIN`, a file of that name; else the one that
/// was built along with the tests, in `target/debug` beside `target/debug/deps`, where a test's own
/// program lies.
///
/// # Panics
/// There is none: the selection of packages did not include `docker-machine`.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("DOCKER_MACHINE_BIN") {
        return binary.into();
    }
    built("docker-machine")
}

/// Returns a program of the workspace that was built along with the tests.
///
/// # Panics
/// There is none: the selection of packages did not include it.
pub fn built(program: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join(program);
    assert!(
        binary.is_file(),
        "{} is missing: cargo build --workspace --bins",
        binary.display()
    );
    binary
}

/// Says that a test is left out for want of something, or fails where `tests/run` has promised
/// that everything is there.
///
/// # Panics
/// `TESTS_REQUIRE_TOOLS` is set.
#[allow(clippy::print_stderr, reason = "whoever runs the tests is to know")]
pub fn left_out(what: &str, why: &str) {
    assert!(
        std::env::var_os("TESTS_REQUIRE_TOOLS").is_none(),
        "{what}: {why}"
    );
    eprintln!("left out: {what}: {why}");
}

/// Tells whoever runs the tests a figure that no test asserts, since machines differ.
#[allow(clippy::print_stderr, reason = "that is its purpose")]
pub fn tell(figure: &str) {
    eprintln!("{figure}");
}
