//! The harness of the whole-binary tests: the path of the binary, and the environments of its runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "unexpected results in the harness fail the test"
)]

pub mod attack;
pub mod certificates;
pub mod containers;
pub mod fleeting;
pub mod flows;
pub mod go;
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

/// Returns the `docker-machine` under test: the file named by `DOCKER_MACHINE_BIN`, or the one that was built with
/// the tests, in `target/debug` next to `target/debug/deps`, which contains the test's own executable.
///
/// # Panics
/// The file does not exist: the selection of packages did not include `docker-machine`.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("DOCKER_MACHINE_BIN") {
        return binary.into();
    }
    built("docker-machine")
}

/// Returns a program of the workspace that was built with the tests.
///
/// # Panics
/// The program does not exist: the selection of packages did not include it.
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

/// Prints that a test is skipped because of a missing prerequisite; fails if `tests/run` guarantees all
/// prerequisites.
///
/// # Panics
/// `TESTS_REQUIRE_TOOLS` is set.
#[allow(
    clippy::print_stderr,
    reason = "the message is for the person who runs the tests"
)]
pub fn left_out(what: &str, why: &str) {
    assert!(
        std::env::var_os("TESTS_REQUIRE_TOOLS").is_none(),
        "{what}: {why}"
    );
    eprintln!("skipped: {what}: {why}");
}

/// Prints a figure that no test asserts, because machines differ.
#[allow(clippy::print_stderr, reason = "printing is its purpose")]
pub fn tell(figure: &str) {
    eprintln!("{figure}");
}
