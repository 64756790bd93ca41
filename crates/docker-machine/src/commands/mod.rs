//! The commands: one file and one line of the table each.
//!
//! A command's file says what it is called, which flags and positionals it takes, and what it does:
//! read the arguments, call one use-case of `libmachine`, show what came of it.

use crate::cli::Command;

mod active;
mod completion;
mod config;
mod create;
mod doctor;
mod env;
mod help;
mod inspect;
mod ip;
mod kill;
mod ls;
mod mount;
mod provision;
mod prune;
mod regenerate_certs;
mod restart;
mod rm;
mod scp;
mod ssh;
mod start;
mod status;
mod stop;
mod targets;
mod update_labels;
mod upgrade;
mod url;
mod version;

/// The table, in the order of help.
pub static TABLE: &[&dyn Command] = &[
    &active::Active,
    &completion::Completions,
    &config::Config,
    &create::Create,
    &doctor::Doctor,
    &env::Env,
    &inspect::Inspect,
    &ip::Ip,
    &kill::Kill,
    &ls::Ls,
    &mount::Mount,
    &provision::Provision,
    &prune::Prune,
    &regenerate_certs::RegenerateCerts,
    &restart::Restart,
    &rm::Rm,
    &scp::Scp,
    &ssh::Ssh,
    &start::Start,
    &status::Status,
    &stop::Stop,
    &update_labels::UpdateLabels,
    &upgrade::Upgrade,
    &url::Url,
    &version::Version,
    &help::Help,
];
