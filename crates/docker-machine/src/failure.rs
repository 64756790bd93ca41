//! Error messages and exit codes.
//!
//! The first line is the Go binary's, because scripts match its sentences: the failed action and the reason, joined by
//! a colon. The indented lines below it give the causes, what is left behind, and a hint.

use std::error::Error as StdError;
use std::fmt::Write as _;

use libmachine::{Error, Left};
use machine_types::{ExitStatus, shown, without_error_numbers};

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    /// The failed action and the reason.
    message: String,
    causes: Vec<String>,
    left: Vec<Left>,
    hint: Option<String>,
    help: Option<Help>,
    /// Whether to print the command line that prints the help, in place of the help itself.
    short: bool,
    status: ExitStatus,
    cause: &'static str,
}

/// Help of a command, and the command line that prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// The help text; empty if only its command line is printed, at a terminal.
    pub text: String,
    /// The command line, for example `docker-machine create --help`.
    pub command_line: String,
}

/// A probable mistake on a command line that is valid: a hint, should the command fail for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// The part of an error message that confirms it; empty for any error.
    pub confirmed_by: String,
    /// The hint.
    pub hint: String,
}

impl Failure {
    /// Creates a failure from one sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            message: without_error_numbers(&message.into()),
            causes: Vec::new(),
            left: Vec::new(),
            hint: None,
            help: None,
            short: false,
            status: ExitStatus::Failure,
            cause: "other",
        }))
    }

    /// Creates a usage failure: the message, a hint, and help for standard output.
    pub fn usage(message: impl Into<String>, hint: Option<String>, help: Option<Help>) -> Self {
        let mut failure = Self::new(message);
        failure.0.hint = hint;
        failure.0.help = help;
        failure.0.cause = "usage";
        failure
    }

    /// Creates a failure from an error and the action that failed; an empty `what` is omitted.
    pub fn of(what: &str, error: &Error) -> Self {
        let mut failure = Self::chained(what, error);
        failure.0.hint = error.hint();
        failure.0.left = error.left().to_vec();
        failure.0.status = error.exit();
        failure.0.cause = error.cause();
        failure
    }

    /// Combines the failures of several machines into one.
    pub fn joined(failures: Vec<Self>) -> Self {
        let texts: Vec<String> = failures.iter().map(Self::text).collect();
        let mut joined = Self::new(texts.join("\n"));
        let causes = failures.iter().map(Self::cause);
        // Different causes are reported as "other", equal ones under their own name.
        joined.0.cause = causes
            .reduce(|one, other| if one == other { one } else { "other" })
            .unwrap_or("other");
        joined
    }

    /// Returns the text for standard error, without a trailing newline.
    pub fn text(&self) -> String {
        self.written(|_, text| text.to_owned())
    }

    /// Returns the text for a terminal, in colours if the terminal supports them.
    pub fn coloured(&self) -> String {
        self.written(|style, text| match text {
            "" => String::new(),
            text => format!("\x1b[{}m{text}\x1b[0m", style as u8),
        })
    }

    fn written(&self, paint: impl Fn(Style, &str) -> String) -> String {
        let parts = &self.0;
        let paint = |style, text: &str| paint(style, &shown(text));
        let indented = |text: &str| indented(&shown(text));
        let mut text = paint(Style::Red, &parts.message);
        let mut add = |label, what: &str| {
            let _ = write!(text, "\n  {} {}", paint(Style::Bold, label), indented(what));
        };
        for cause in &parts.causes {
            add("caused by:", cause);
        }
        for left in &parts.left {
            add("left behind:", &format!("{} ({})", left.what, left.why));
        }
        if let Some(hint) = &parts.hint {
            add("hint:", hint);
        }
        if let (true, Some(help)) = (parts.short, &parts.help) {
            add("help:", &format!("run '{}'", help.command_line));
        }
        text
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Replaces the help by the command line that prints it. Used at a terminal, where the help would scroll the error
    /// out of sight.
    #[must_use]
    pub fn short(mut self, short: bool) -> Self {
        self.0.short = short;
        self
    }

    /// Returns the help for standard output.
    pub fn help(&self) -> Option<&str> {
        let help = self.0.help.as_ref().filter(|_| !self.0.short)?;
        Some(&*help.text).filter(|text| !text.is_empty())
    }

    /// Adds the hint of a suspicion that this failure confirms.
    #[must_use]
    pub fn with_suspicion(self, suspicion: Option<&Suspicion>) -> Self {
        match suspicion {
            Some(Suspicion { confirmed_by, hint })
                if confirmed_by.is_empty()
                    || self.0.hint.is_none() && self.text().contains(confirmed_by) =>
            {
                self.with_hint(hint)
            }
            _ => self,
        }
    }

    /// Returns the cause as one word, for metrics and logs.
    pub fn cause(&self) -> &'static str {
        self.0.cause
    }

    /// Returns the exit status of the process.
    pub fn status(&self) -> ExitStatus {
        self.0.status
    }

    /// Creates a failure from any error. The first line holds the failed action, the error and its direct cause.
    pub(crate) fn chained(what: &str, error: &(dyn StdError + 'static)) -> Self {
        let mut links: Vec<String> = Vec::new();
        let mut next = Some(error);
        while let Some(link) = next {
            let text = without_error_numbers(link.to_string().trim_end());
            // A transparent layer repeats the text of its source.
            if links.last() != Some(&text) && !text.is_empty() {
                links.push(text);
            }
            next = link.source();
        }
        let causes = links.split_off(links.len().min(2));
        let what = Some(what.to_owned()).filter(|what| !what.is_empty());
        let first: Vec<String> = what.into_iter().chain(links).collect();
        let mut failure = Self::new(first.join(": "));
        failure.0.causes = causes;
        failure
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("", &error)
    }
}

/// Terminal control sequences (ECMA-48, SGR).
#[derive(Debug, Clone, Copy)]
enum Style {
    Bold = 1,
    Red = 31,
}

/// Indents the further lines of a text below its first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    fn chain(layers: &[&'static str]) -> Layer {
        let (first, rest) = layers.split_first().unwrap();
        Layer(first, (!rest.is_empty()).then(|| Box::new(chain(rest))))
    }

    #[test]
    fn the_first_line_holds_what_failed_and_why() {
        let error = chain(&[
            "cannot create",
            "cannot launch",
            "cannot connect",
            "refused",
        ]);
        let mut failure = Failure::chained("Error", &error);
        failure.0.hint = Some("look\nhere".into());
        assert_eq!(
            failure.text(),
            "Error: cannot create: cannot launch\n  caused by: cannot connect\n  caused by: refused\n  hint: look\n    here"
        );
    }

    #[test]
    fn layers_that_repeat_the_one_below_are_told_once() {
        let failure = Failure::chained("", &chain(&["a", "a", "b"]));
        assert_eq!(failure.text(), "a: b");
    }

    #[test]
    fn what_is_left_behind_is_named() {
        let mut failure = Failure::new("Error creating machine");
        failure.0.left.push(Left {
            what: "instance i-1 in us-east-1".into(),
            why: "RequestLimitExceeded".into(),
        });
        assert_eq!(
            failure.text(),
            "Error creating machine\n  left behind: instance i-1 in us-east-1 (RequestLimitExceeded)"
        );
        assert_eq!(
            failure.coloured(),
            "\x1b[31mError creating machine\x1b[0m\n  \x1b[1mleft behind:\x1b[0m instance i-1 in us-east-1 (RequestLimitExceeded)"
        );
    }
}
