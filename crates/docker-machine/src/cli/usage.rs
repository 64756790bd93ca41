//! A command line that makes no sense: the Go binary's sentence, the nearest thing that would, and help.

use clap::error::{ContextKind, ContextValue};

use crate::failure::{Failure, Help};

/// What is wrong with a command line. Exit code 1, and never 0 as the Go binary has it for some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageError {
    /// The sentence, on standard error.
    pub message: String,
    /// The way out, on a line of its own.
    pub hint: Option<String>,
    /// The help that goes to standard output, where the Go binary prints it.
    pub help: Option<Help>,
}

impl UsageError {
    /// Makes an error without help or hint.
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

    /// Adds the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Puts an error of clap's into Go's words.
    #[must_use]
    pub fn of_clap(error: &clap::Error) -> Self {
        let flag = refused_flag(error).unwrap_or_default();
        let name = flag.trim_start_matches('-');
        Self::new(format!("flag provided but not defined: -{name}")).with_suggestion(Some(error))
    }

    /// Puts the nearest command, flag or value that clap knows in the place of another hint, if there is one.
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
                // clap names the nearest last.
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
