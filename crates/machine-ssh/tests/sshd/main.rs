//! The crate against a real OpenSSH server, its tools and its agent, all on loopback and in a
//! directory of their own; and against servers that are none.
//!
//! Where OpenSSH is not installed the tests that need it say so and leave themselves out, unless
//! `LAB_REAL_SSHD=1` asks for them.

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
