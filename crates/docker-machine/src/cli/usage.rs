//! Usage errors: the Go binary's message, the nearest valid word, and help.

use clap::error::{ContextKind, ContextValue};

use crate::failure::{Failure, Help};

/// A usage error. The exit code is 1, and never 0 as for some errors of the Go binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageError {
    /// The message, for standard error.
    pub message: String,
    /// The hint, on a line of its own.
    pub hint: Option<String>,
    /// The help for standard output, for the errors for which the Go binary prints it.
    pub help: Option<Help>,
}

impl UsageError {
    /// Creates an error without help or hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Adds help.
    #[must_use]
    pub fn with_help(mut self, help: Help) -> Self {
        self.help = Some(help);
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Creates the error of an unknown flag.
    pub fn unknown_flag(name: &str) -> Self {
        Self::new(format!("flag provided but not defined: -{name}"))
    }

    /// Adds a hint, if there is one.
    #[must_use]
    pub fn with_hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Self::usage(error.message, error.hint, error.help)
    }
}

/// Returns the flag that clap does not know, with its dashes.
pub fn refused_flag(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => Some(flag.clone()),
        _ => None,
    }
}
