//! How a remote command ended, and what it said. After `std::process::{ExitStatus, Output}`.

use std::fmt;

/// How a remote command ended: with a code, or by a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitStatus(pub(crate) Ended);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(u32),
    Signal(String),
}

impl ExitStatus {
    /// Tells whether the command ended with code 0.
    pub fn success(&self) -> bool {
        self.0 == Ended::Code(0)
    }

    /// Returns the exit code; `None` where a signal ended the command.
    pub fn code(&self) -> Option<u32> {
        match self.0 {
            Ended::Code(code) => Some(code),
            Ended::Signal(_) => None,
        }
    }

    /// Returns the name of the signal that ended the command, without `SIG`: `KILL`, `TERM`
    /// (RFC 4254, section 6.10). Letters, digits and `-@._` only, whatever the server sent.
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

/// What a command that has ended leaves: its status and both its streams, each on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, up to the command's limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the command's limit.
    pub stderr: Vec<u8>,
    /// Whether more came than the limit lets us keep.
    pub truncated: bool,
}

impl Output {
    /// Returns standard output as text, its trailing line ends removed; what is not UTF-8 is
    /// replaced. Not fit to be shown: see [`machine_types::printable`].
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.trim_end_matches(['\r', '\n']).to_owned()
    }
}
