//! What a command of the table tells the command line about itself.

use async_trait::async_trait;

use crate::cli::Arguments;
use crate::cli::argv::Flag;
use crate::context::Context;
use crate::failure::Failure;

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

    /// Returns command lines that show its use, for help. A line has up to 68 characters.
    fn examples(&self) -> &'static [&'static str] {
        &[]
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

    /// Returns whether it works without a storage directory: there are no machines then.
    fn works_without_store(&self) -> bool {
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
