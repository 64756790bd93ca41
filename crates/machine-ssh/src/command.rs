//! A command to run on a machine: its text, its title and its timeout.

use std::time::Duration;

/// A command line for the login shell of the remote user.
///
/// `sshd` passes the text to the user's shell unchanged. Quote values in it with [`shell_quote`], or send
/// them as input. The text must not hold a secret: other users of the machine see it in its process list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) title: String,
    /// `None` for a login shell.
    pub(crate) text: Option<String>,
    pub(crate) within: Option<Duration>,
}

impl Command {
    /// Creates a command. Spans and errors show the title (`install docker`); the shell runs the text.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            text: Some(text.into()),
            within: None,
        }
    }

    /// Starts the user's login shell, which reads its commands from the input. Shells differ in their syntax, so a text
    /// that starts one does not work with every login shell.
    pub fn login_shell() -> Self {
        Self {
            title: "shell".to_owned(),
            text: None,
            within: None,
        }
    }

    /// Sets a timeout from the start of the command on the machine to the last byte of its output. Without it, only
    /// the session's detection of a dead peer ends the command.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.within = Some(timeout);
        self
    }

    /// Returns the title.
    pub fn title(&self) -> &str {
        &self.title
    }
}

/// Quotes a text for a POSIX shell as one word.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
