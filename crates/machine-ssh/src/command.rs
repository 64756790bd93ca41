//! A command to be run on a machine: its text, its title, its environment and its bounds.

use std::time::Duration;

use crate::SshError;

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
    ///
    /// # Errors
    /// [`SshError::Environment`] for a name that a shell would not take for one.
    pub(crate) fn line(&self) -> Result<String, SshError> {
        let mut script = String::new();
        for (name, value) in &self.environment {
            if !is_variable_name(name) {
                return Err(SshError::Environment {
                    title: self.title.clone(),
                    name: name.clone(),
                });
            }
            script.push_str(&format!("export {name}={}; ", shell_quote(value)));
        }
        script.push_str(&self.text);
        if self.as_root {
            script = format!(
                "exec sh -c {} {}",
                shell_quote(AS_ROOT),
                shell_quote(&script)
            );
        }
        Ok(script)
    }
}

/// Runs its `$0` as root. The script comes as a word of its own, so that it is quoted once and
/// the login shell sees nothing that only a POSIX shell would understand.
const AS_ROOT: &str =
    r#"if [ "$(id -u)" -eq 0 ]; then exec sh -c "$0"; else exec sudo -n sh -c "$0"; fi"#;

/// What IEEE Std 1003.1 (section 8.1) lets be a name.
fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Quotes a text for a POSIX shell, so that it stands for exactly itself as one word.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
