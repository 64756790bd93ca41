//! A command: its description, its arguments, and what runs it.

use std::sync::Arc;

use async_trait::async_trait;
use machine_driver::Options;

use crate::cli::argv::Flag;
use crate::cli::usage::UsageError;
use crate::context::Context;
use crate::failure::{Failure, Help, Suspicion};

/// Usage and help of a command.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Name of the command.
    pub name: &'static str,
    /// Positionals, for example `NAME...`.
    pub arguments: &'static str,
    /// Short description.
    pub summary: &'static str,
    /// Longer description.
    pub details: &'static str,
}

/// Arguments of a command.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Flags of the command.
    pub options: Options,
    /// Driver name, of `create`.
    pub driver_name: &'static str,
    /// Driver flags, of `create`.
    pub driver: Options,
    /// Positionals.
    pub words: Vec<String>,
    /// Help that is printed with a usage error.
    pub usage: Usage,
    /// A probable mistake in the positionals.
    pub suspicion: Option<Suspicion>,
}

/// Help of a command, rendered on first use, because rendering takes longer than most commands.
#[derive(Clone, Default)]
pub struct Usage(Option<Arc<dyn Fn() -> Help + Send + Sync>>);

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Usage")
    }
}

impl Usage {
    /// Creates the help that a function renders.
    pub(super) fn new(render: impl Fn() -> Help + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(render)))
    }

    /// Creates a usage failure: the message, with this help on standard output.
    pub fn failure(&self, message: impl Into<String>) -> Failure {
        let error = UsageError::new(message);
        match &self.0 {
            Some(render) => error.with_help(render()).into(),
            None => error.into(),
        }
    }

    /// Creates a usage failure of a command for which the Go binary prints no help: at a terminal, it names the command
    /// line that does.
    pub fn bare_failure(&self, message: impl Into<String>) -> Failure {
        let error = UsageError::new(message);
        match &self.0 {
            Some(render) => {
                let text = String::new();
                error.with_help(Help { text, ..render() }).into()
            }
            None => error.into(),
        }
    }
}

/// A command of the table.
#[async_trait(?Send)]
pub trait Command: Send + Sync {
    /// Returns the usage and help.
    fn about(&self) -> About;

    /// Returns the flags, except `--help`.
    fn flags(&self) -> Vec<Flag> {
        Vec::new()
    }

    /// Returns examples for the help. Help breaks long ones with a backslash.
    fn examples(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns whether `--driver` adds the driver's flags.
    fn takes_driver_flags(&self) -> bool {
        false
    }

    /// Returns whether `--driver` is required, because the Go binary's default driver is missing here.
    fn needs_driver(&self) -> bool {
        self.takes_driver_flags()
    }

    /// Returns whether it writes nothing to the store, not even the record of a warning.
    fn leaves_no_trace(&self) -> bool {
        false
    }

    /// Returns whether it works without a storage directory: then there are no machines.
    fn works_without_store(&self) -> bool {
        false
    }

    /// Returns whether it needs a storage directory with these arguments.
    fn needs_store(&self, _arguments: &Arguments) -> bool {
        !self.works_without_store()
    }

    /// Returns whether the words after it are kept unchanged: `ssh NAME ls -l`.
    fn takes_words_as_they_are(&self) -> bool {
        false
    }

    /// Returns whether programs read its standard output: then messages go to standard error.
    fn is_evaluated(&self) -> bool {
        false
    }

    /// Returns whether it changes nothing: then a signal may end it at once, and no thread has to handle signals.
    fn only_looks(&self) -> bool {
        self.is_evaluated()
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Returns [`Failure`], which holds the error message and the exit status.
    async fn run(&self, cx: &Context, arguments: Arguments) -> Result<(), Failure>;
}
