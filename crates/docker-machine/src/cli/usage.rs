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

    /// Converts an error of clap to the Go binary's wording.
    #[must_use]
    pub fn of_clap(error: &clap::Error) -> Self {
        let flag = refused_flag(error).unwrap_or_default();
        let name = flag.trim_start_matches('-');
        Self::new(format!("flag provided but not defined: -{name}")).with_suggestion(Some(error))
    }

    /// Replaces the hint by clap's suggestion of a command, flag or value, if there is one.
    #[must_use]
    pub fn with_suggestion(self, error: Option<&clap::Error>) -> Self {
        let suggested = [
            ContextKind::SuggestedSubcommand,
            ContextKind::SuggestedArg,
            ContextKind::SuggestedValue,
        ];
        let nearest = suggested
            .into_iter()
            .filter_map(|kind| error?.get(kind))
            .find_map(|value| match value {
                ContextValue::String(name) => Some(name.clone()),
                // clap lists the nearest suggestion last.
                ContextValue::Strings(names) => names.last().cloned(),
                _ => None,
            });
        match nearest {
            Some(name) => self.with_hint(format!("did you mean '{name}'?")),
            None => self,
        }
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
