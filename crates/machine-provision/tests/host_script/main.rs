//! Runs the real script by this machine's shells, on a host that is a directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers outside test functions may panic.

mod boot;
mod configuration;
mod daemon_json;
mod families;
mod firewall;
mod first_run;
mod host;
mod inherited;
mod rollback;
mod root;
mod second_run;
mod systemd;
mod transcripts;
mod trouble;
mod upgrade;
