//! The commands: one file and one line of the table each.
//!
//! A command's file says what it is called, which flags and positionals it takes, and what it does:
//! read the arguments, call one use-case of `libmachine`, show what came of it.

use async_trait::async_trait;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::context::Context;
use crate::failure::Failure;

mod active;
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

/// The driver of a `create` that names none: the Go binary's default, which this binary does not have.
pub(crate) const NO_DRIVER: &str = "virtualbox";

/// The table, in the order of help.
pub static TABLE: &[&dyn Command] = &[
    &active::Active,
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

/// How a command is called, and what its help says.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The verb.
    pub name: &'static str,
    /// Its positionals, as in `NAME...`.
    pub arguments: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to know.
    pub details: &'static str,
}

/// A command of the table.
#[async_trait(?Send)]
pub trait Command: Send + Sync {
    /// Returns how it is called.
    fn about(&self) -> About;

    /// Returns its flags, but for `--help`.
    fn flags(&self) -> Vec<Flag> {
        Vec::new()
    }

    /// Tells whether `--driver` brings the driver's flags.
    fn takes_driver_flags(&self) -> bool {
        false
    }

    /// Tells whether it cannot do without `--driver`, having a default of its own that the Go binary has.
    fn needs_driver(&self) -> bool {
        self.takes_driver_flags()
    }

    /// Tells whether it leaves no trace in the store, not even that of a warning given.
    fn leaves_no_trace(&self) -> bool {
        false
    }

    /// Tells whether nothing behind it is a flag: `ssh NAME ls -l`.
    fn takes_words_as_they_are(&self) -> bool {
        false
    }

    /// Tells whether programs read its standard output: what is told besides goes to standard error.
    fn is_evaluated(&self) -> bool {
        false
    }

    /// Tells whether it changes nothing: then a signal may end it at once, and no thread has to
    /// listen for one.
    fn only_looks(&self) -> bool {
        self.is_evaluated()
    }

    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] is what the user is told and how the process ends.
    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure>;
}

/// Finds a command by its name; `h` is short for `help`.
pub fn find(name: &str) -> Option<&'static dyn Command> {
    let name = if name == "h" { "help" } else { name };
    TABLE
        .iter()
        .find(|command| command.about().name == name)
        .copied()
}
