//! Errors of operations on an open session.

use std::time::Duration;

use crate::ExitStatus;

/// Reason why an operation on a session failed.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The command failed, but had to succeed.
    #[error("{title} failed on {host}: {status}{said}")]
    Failed {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// The exit status.
        status: ExitStatus,
        /// Empty, or `: ` and the end of its standard error (else output), printable, short.
        said: String,
    },
    /// The command exceeded its timeout.
    #[error("{title} did not end on {host} within {} s", within.as_secs())]
    TimedOut {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// The command's timeout.
        within: Duration,
    },
    /// The operation was cancelled.
    #[error("{title}: cancelled by {reason}")]
    Cancelled {
        /// The command's title.
        title: String,
        /// The reason, for example `SIGTERM`.
        reason: &'static str,
    },
    /// The connection ended before the command: the machine was shut down, the network failed, or sshd was killed.
    #[error("the connection to {host} was lost during {title}{reason}")]
    Lost {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// Empty, or `: ` and the server's disconnect message, printable, or the detected cause.
        reason: String,
    },
    /// The machine refused to start the operation: too many sessions, no shell, no such subsystem.
    #[error("{host} refuses to start {title}{reason}")]
    Refused {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// Empty, or `: ` and the reason.
        reason: String,
    },
    /// The command's channel was closed without a status.
    #[error("{host} does not tell how {title} ended")]
    NoStatus {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
    },
    /// A local stream failed.
    #[error("cannot {action} for {title}")]
    Local {
        /// The command's title.
        title: String,
        /// `read input`, `write output`.
        action: &'static str,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl SshError {
    /// Returns the outcome's name in the trace.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "status",
            Self::TimedOut { .. } => "timeout",
            Self::Cancelled { .. } => "cancelled",
            Self::Lost { .. } => "lost",
            Self::Refused { .. } => "refused",
            Self::NoStatus { .. } => "no-status",
            Self::Local { .. } => "local",
        }
    }
}
