//! Why something on an open session did not come to its end.

use std::time::Duration;

use crate::ExitStatus;

/// Why something on a session did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The command ended badly, and was expected not to.
    #[error("{title} failed on {host}: {status}{said}")]
    Failed {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// How it ended.
        status: ExitStatus,
        /// Empty, or `: ` and the end of its standard error (else output), printable, short.
        said: String,
    },
    /// It took longer than the command allows.
    #[error("{title} did not end on {host} within {} s", within.as_secs())]
    TimedOut {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// The command's bound.
        within: Duration,
    },
    /// The operation was cancelled.
    #[error("{title}: cancelled by {reason}")]
    Cancelled {
        /// The command's title.
        title: String,
        /// Why: `SIGTERM`.
        reason: &'static str,
    },
    /// The connection ended before the command did: the machine was shut down, the network
    /// failed, sshd was killed.
    #[error("the connection to {host} was lost during {title}{reason}")]
    Lost {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// Empty, or `: ` and the server's parting words, printable, or what was noticed.
        reason: String,
    },
    /// The machine refused to start it: too many sessions, no shell, no such subsystem.
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
    /// A stream on our own side failed.
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
    /// A word for the trace.
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
