//! A command to be run on a machine: its text, its title, its environment and its bounds.

use std::time::Duration;

/// How much of each of the two output streams is kept when nothing else is asked for: 1 MiB.
const DEFAULT_LIMIT: usize = 1 << 20;

/// A command line for the login shell of the remote user, and what belongs to it.
///
/// The text is passed on as it is: `sshd` hands it to the user's shell. Whoever puts a value into
/// it quotes it with [`shell_quote`], or better sends it as input. Neither the text nor the
/// environment may hold a secret: other users of the machine see them in its process list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) limit: usize,
    pub(crate) within: Option<Duration>,
    pub(crate) as_root: bool,
}

impl Command {
    /// Makes a command. The title names it in spans and errors (`install docker`), the text is
    /// what the shell runs.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            environment: Vec::new(),
            limit: DEFAULT_LIMIT,
            within: None,
            as_root: false,
        }
    }

    /// Exports a variable to the command. It travels in the command line, since `sshd` takes
    /// variables only where its `AcceptEnv` names them; the login shell must be a POSIX one.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets how many bytes of each output stream are kept; the rest is read and dropped, and
    /// [`Output::truncated`](crate::Output::truncated) is set. 1 MiB unless told.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Bounds the time the command may take, from its start on the machine to the last byte of
    /// its output. Unbounded unless told, but for the session's own notice of a dead peer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.within = Some(patience);
        self
    }

    /// Runs the command with `sh` as root: directly for who is root already, else by `sudo -n`,
    /// which fails instead of asking for a password.
    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.as_root = true;
        self
    }

    /// Returns the title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns the line that goes over the wire.
    pub(crate) fn line(&self) -> String {
        let mut script = String::new();
        for (name, value) in &self.environment {
            script.push_str(&format!("export {name}={}; ", shell_quote(value)));
        }
        script.push_str(&self.text);
        if !self.as_root {
            return script;
        }
        let script = shell_quote(&script);
        format!(
            "if [ \"$(id -u)\" -eq 0 ]; then exec sh -c {script}; else exec sudo -n sh -c {script}; fi"
        )
    }
}

/// Quotes a text for a POSIX shell, so that it stands for exactly itself as one word.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
