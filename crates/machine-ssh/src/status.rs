//! Exit status and output of a remote command, modelled on `std::process::{ExitStatus, Output}`.

use std::fmt;

/// Exit status of a remote command: a code or a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus(pub(crate) Ended);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(u32),
    Signal(String),
}

impl ExitStatus {
    /// Returns whether the command ended with code 0.
    pub fn success(&self) -> bool {
        self.0 == Ended::Code(0)
    }

    /// Returns the exit code; `None` if a signal ended the command.
    pub fn code(&self) -> Option<u32> {
        match self.0 {
            Ended::Code(code) => Some(code),
            Ended::Signal(_) => None,
        }
    }

    /// Returns the name of the signal that ended the command, without `SIG`: `KILL`, `TERM` (RFC 4254, section 6.10).
    /// Contains letters, digits and `-@._` only, whatever the server sent.
    pub fn signal(&self) -> Option<&str> {
        match &self.0 {
            Ended::Code(_) => None,
            Ended::Signal(name) => Some(name),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ended::Code(code) => write!(f, "exit status {code}"),
            Ended::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// Result of a command that has ended: its status and both streams, separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output, up to the command's limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the command's limit.
    pub stderr: Vec<u8>,
    /// Whether the output exceeded the limit and was truncated.
    pub truncated: bool,
}

impl Output {
    /// Returns standard output as text, without trailing newlines and with invalid UTF-8 replaced. Do not display it
    /// unsanitized: see [`machine_types::printable`].
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.trim_end_matches(['\r', '\n']).to_owned()
    }
}
