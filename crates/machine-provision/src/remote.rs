//! The way to the host: one command with input, its output line by line.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use machine_flow::Cx;
use machine_types::Secret;

/// Why a command's end is not known: the connection was lost, time ran out, it was cancelled.
/// A command that ended badly is no such error.
pub type RemoteError = Box<dyn Error + Send + Sync>;

/// A command for the host.
pub struct Job<'a> {
    /// Names it in spans and errors.
    pub title: &'a str,
    /// The command line for the login user's POSIX shell. No secrets.
    pub command: &'a str,
    /// Its standard input, whole; then it ends.
    pub input: &'a Secret,
    /// How long it may take.
    pub within: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With a code.
    Code(u32),
    /// By a signal, named without `SIG`.
    Signal(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// A host on which commands run, as the login user.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Runs a command to its end. Both its output streams go to `line` as they come, line by
    /// line without the line end; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// [`RemoteError`] where the end is not known. On cancellation (`cx`) it returns soon; whether
    /// that ends the command is the host's business.
    async fn run(
        &self,
        job: &Job<'_>,
        line: &mut (dyn FnMut(&str) + Send),
        cx: &Cx,
    ) -> Result<Exit, RemoteError>;
}
