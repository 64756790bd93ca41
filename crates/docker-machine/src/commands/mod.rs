//! The commands: one file and one table row each.
//!
//! The file of a command declares its name, flags and positionals. It reads the arguments, calls one use case of
//! `libmachine`, and prints the result.

use crate::cli::Command;

mod active;
mod completion;
mod config;
mod convert_runner_config;
pub(crate) mod create;
mod doctor;
mod env;
mod help;
mod inspect;
mod ip;
mod kill;
mod logs;
mod ls;
mod mount;
mod provision;
mod prune;
mod regenerate_certs;
mod restart;
mod rm;
mod runner_checks;
mod scp;
mod ssh;
mod start;
mod status;
mod stop;
mod targets;
mod trace;
mod update_labels;
mod upgrade;
mod url;
mod version;

/// The commands, in the order of the help.
pub static TABLE: &[&dyn Command] = &[
    &active::Active,
    &completion::Completions,
    &config::Config,
    &convert_runner_config::ConvertRunnerConfig,
    &create::Create,
    &doctor::Doctor,
    &env::Env,
    &inspect::Inspect,
    &ip::Ip,
    &kill::Kill,
    &logs::Logs,
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
    &trace::Trace,
    &update_labels::UpdateLabels,
    &upgrade::Upgrade,
    &url::Url,
    &version::Version,
    &help::Help,
];
