//! The crate against a real OpenSSH server, its tools and its agent, all on loopback and in a separate directory, and
//! against peers that are not SSH servers.
//!
//! Without OpenSSH, the tests that need it are skipped with a message, unless `LAB_REAL_SSHD=1` requires them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod commands;
mod files;
mod hostile;
mod keys;
mod login;
mod pins;
mod server;
mod shell;
mod waiting;
