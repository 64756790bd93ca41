//! A session with a machine: many commands, one connection.

use std::time::Duration;

use machine_flow::Cx;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::{Command, ExitStatus, Output, ProtocolError, Pty, Sftp, SftpError, Upload, WindowSize};

/// A login on a machine. Any number of commands, shells and transfers may run on it, one after
/// the other or at once; they share one connection, so that a stream whose reader dawdles slows
/// the others down. A peer that is silent for 40 s is taken for dead. Dropping it hangs up.
pub struct Session {
    _private: (),
}

impl Session {
    /// Runs a command without input, and collects what it says.
    ///
    /// # Errors
    /// An exit code other than 0 is not an error: see [`Output::status`], or use
    /// [`Session::check`]. [`SshError`] otherwise. On a timeout or a cancellation the channel is
    /// closed; whether that ends the remote process is the machine's business.
    pub async fn run(&self, _command: &Command, _cx: &Cx) -> Result<Output, SshError> {
        todo!()
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// [`SshError::Failed`] for any status but 0, with the end of what it said; else as
    /// [`Session::run`].
    pub async fn check(&self, _command: &Command, _cx: &Cx) -> Result<Output, SshError> {
        todo!()
    }

    /// Runs a command with input, to its end; a command that reads only part of it is none the
    /// worse for it. The way for content, and the only way for secrets.
    ///
    /// # Errors
    /// As [`Session::run`], and [`SshError::Local`] where the input cannot be read.
    pub async fn run_with_input(
        &self,
        _command: &Command,
        _input: impl AsyncRead + Send,
        _cx: &Cx,
    ) -> Result<Output, SshError> {
        todo!()
    }

    /// Runs a command between three streams, byte for byte and as it goes. Its end is the end of
    /// the remote process: input that was not asked for is left unread. The command's limit
    /// does not apply, its time does.
    ///
    /// # Errors
    /// As [`Session::run`], and [`SshError::Local`] where one of our own streams fails (a closed
    /// pipe).
    pub async fn pipe(
        &self,
        _command: &Command,
        _stdin: impl AsyncRead + Send,
        _stdout: impl AsyncWrite + Send,
        _stderr: impl AsyncWrite + Send,
        _cx: &Cx,
    ) -> Result<ExitStatus, SshError> {
        todo!()
    }

    /// Opens an interactive shell on a pseudo-terminal and copies until it ends. Putting the
    /// local terminal into raw mode and back is the caller's business. `resizes` may end early.
    ///
    /// # Errors
    /// As [`Session::pipe`].
    pub async fn shell(
        &self,
        _pty: &Pty,
        _stdin: impl AsyncRead + Send,
        _stdout: impl AsyncWrite + Send,
        _resizes: mpsc::Receiver<WindowSize>,
        _cx: &Cx,
    ) -> Result<ExitStatus, SshError> {
        todo!()
    }

    /// Puts a file onto the machine by the shell's own means: whole or not at all, and with its
    /// mode from the first byte. What was there is replaced. A crash leaves at most a temporary
    /// file beside it.
    ///
    /// # Errors
    /// [`SshError::Failed`] names the path; else as [`Session::run_with_input`].
    pub async fn upload(&self, _upload: &Upload<'_>, _cx: &Cx) -> Result<(), SshError> {
        todo!()
    }

    /// Starts the machine's SFTP server on this session. Paths are relative to the login's
    /// directory.
    ///
    /// # Errors
    /// [`SftpError`], for instance where the machine has no SFTP server.
    pub async fn sftp(&self, _cx: &Cx) -> Result<Sftp, SftpError> {
        todo!()
    }

    /// Tells whether the connection has ended, as far as it is known here.
    pub fn is_closed(&self) -> bool {
        todo!()
    }

    /// Says goodbye and hangs up. Dropping does the same without the goodbye.
    pub async fn close(self) {
        todo!()
    }
}

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
    /// The name of an environment variable is none.
    #[error("{title}: {name:?} is not the name of an environment variable")]
    Environment {
        /// The command's title.
        title: String,
        /// The name.
        name: String,
    },
    /// The protocol was broken.
    #[error("{title} on {host} broke the protocol")]
    Protocol {
        /// The command's title.
        title: String,
        /// The machine's `HOST:PORT`.
        host: String,
        /// The protocol's reason.
        #[source]
        source: ProtocolError,
    },
}
