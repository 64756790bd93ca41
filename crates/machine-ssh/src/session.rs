//! A session with a machine: many commands, one connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use machine_ops::{Cx, SpanKind, SpanOutcome};
use machine_types::{printable, printable_tail};
use russh::client::Msg;
use russh::{ChannelOpenFailure, Disconnect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::{ClientHandle, Observed};
use crate::known_hosts;
use crate::pump::{Channel, Kept, PumpError};
use crate::wire::Hold;
use crate::{Command, ExitStatus, Output, Pty, Sftp, SftpError, SshError, WindowSize};

/// Maximum size of each output stream that [`Session::run`] keeps.
const OUTPUT_LIMIT: usize = 1 << 20;

/// A login on a machine. Any number of commands, shells and transfers may run on it, in sequence or concurrently. They
/// share one connection, so a stream with a slow reader slows down the others. A peer that is silent for 40 s counts
/// as dead. Dropping the session closes the connection.
pub struct Session {
    connection: Arc<Connection>,
    key: Option<PathBuf>,
}

/// State shared by a session and its operations.
pub(crate) struct Connection {
    handle: ClientHandle,
    observed: Observed,
    pub(crate) host: String,
    login_took: Duration,
    _hold: Hold,
}

impl Connection {
    pub(crate) fn new(
        handle: ClientHandle,
        observed: Observed,
        host: String,
        login_took: Duration,
        hold: Hold,
    ) -> Self {
        Self {
            handle,
            observed,
            host,
            login_took,
            _hold: hold,
        }
    }

    /// Opens a channel for the operation `title`.
    pub(crate) async fn open(&self, title: &str) -> Result<russh::Channel<Msg>, SshError> {
        match self.handle.channel_open_session().await {
            Ok(channel) => Ok(channel),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(SshError::Refused {
                title: title.to_owned(),
                host: self.host.clone(),
                reason: format!(": {}", in_words(reason)),
            }),
            Err(_) => Err(self.lost(title)),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    fn lost(&self, title: &str) -> SshError {
        let reason = match self.observed.goodbye() {
            Some(goodbye) if !goodbye.is_empty() => format!(": {goodbye}"),
            _ => String::new(),
        };
        SshError::Lost {
            title: title.to_owned(),
            host: self.host.clone(),
            reason,
        }
    }

    /// Converts an error of a channel to one of the session.
    pub(crate) fn explain(&self, title: &str, end: PumpError) -> SshError {
        let (title, host) = (title.to_owned(), self.host.clone());
        let local = |title, action, source| SshError::Local {
            title,
            action,
            source,
        };
        match end {
            PumpError::Lost => self.lost(&title),
            PumpError::Refused => SshError::Refused {
                title,
                host,
                reason: String::new(),
            },
            PumpError::NoStatus => SshError::NoStatus { title, host },
            PumpError::Input(source) => local(title, "read the input", source),
            PumpError::Output(source) => local(title, "write the output", source),
        }
    }

    /// Limits the time of an operation on the session, and reports its end.
    pub(crate) async fn bounded<T>(
        &self,
        title: &str,
        within: Option<Duration>,
        cx: &Cx,
        work: impl Future<Output = Result<T, SshError>>,
    ) -> Result<T, SshError> {
        let begun = (cx.ambient.now(), cx.ambient.monotonic());
        let limited = async {
            match within {
                Some(within) => timeout(within, work).await.unwrap_or_else(|_| {
                    Err(SshError::TimedOut {
                        title: title.to_owned(),
                        host: self.host.clone(),
                        within,
                    })
                }),
                None => work.await,
            }
        };
        let result = cx.cancel.or(limited).await.unwrap_or_else(|reason| {
            Err(SshError::Cancelled {
                title: title.to_owned(),
                reason,
            })
        });
        let outcome = match &result {
            Ok(_) => SpanOutcome::Ok,
            Err(error) => SpanOutcome::Failed(error.word().into()),
        };
        cx.ended(SpanKind::Ssh, title, begun, outcome);
        result
    }
}

impl Session {
    pub(crate) fn new(connection: Connection, key: Option<PathBuf>) -> Self {
        Self {
            connection: Arc::new(connection),
            key,
        }
    }

    /// Returns the time from the TCP connection to the accepted login.
    pub fn login_took(&self) -> Duration {
        self.connection.login_took
    }

    /// Returns the `HOST:PORT` of the machine.
    pub fn host(&self) -> &str {
        &self.connection.host
    }

    /// Returns the file of the private key that the machine accepted. Returns `None` for a key of the agent whose file
    /// is not known.
    pub fn key(&self) -> Option<&Path> {
        self.key.as_deref()
    }

    /// Returns the host key that the machine has presented, as a line of OpenSSH's `known_hosts` for an address. Returns
    /// `None` for an address that OpenSSH would take for a pattern.
    pub fn known_hosts_line(&self, host: &str, port: u16) -> Option<String> {
        let key = self.connection.observed.host_key()?;
        known_hosts::pin_line(&known_hosts::pattern(host, port), &key).ok()
    }

    /// Runs a command without input and collects its output, up to 1 MiB of each stream.
    ///
    /// # Errors
    /// An exit code other than 0 is not an error: see [`Output::status`], or use
    /// [`Session::check`]. [`SshError`] otherwise. On a timeout or a cancellation the remote
    /// process is sent SIGTERM and its channel is closed; it may continue to run.
    pub async fn run(&self, command: &Command, cx: &Cx) -> Result<Output, SshError> {
        let mut stdout = Kept::new(OUTPUT_LIMIT);
        let mut stderr = Kept::new(OUTPUT_LIMIT);
        let status = self
            .pipe(command, tokio::io::empty(), &mut stdout, &mut stderr, cx)
            .await?;
        Ok(Output {
            status,
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// Returns [`SshError::Failed`] for any status but 0, with the end of the command's output; other errors as for
    /// [`Session::run`].
    pub async fn check(&self, command: &Command, cx: &Cx) -> Result<Output, SshError> {
        let output = self.run(command, cx).await?;
        self.must_succeed(command, output)
    }

    /// Runs a command with three streams, which are copied unchanged and without buffering. Returns when the remote
    /// process ends; the rest of the input is left unread. Use this for file content, and always for secrets.
    ///
    /// # Errors
    /// Same as [`Session::run`], and [`SshError::Local`] if a local stream fails (a closed pipe).
    pub async fn pipe(
        &self,
        command: &Command,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        stderr: impl AsyncWrite + Send,
        cx: &Cx,
    ) -> Result<ExitStatus, SshError> {
        let title = command.title();
        let line = command.text.clone();
        let connection = &self.connection;
        let work = async {
            let mut channel = Channel::new(connection.open(title).await?);
            let started = channel.start(line).await;
            started.map_err(|error| connection.explain(title, error))?;
            let ended = channel.pump(stdin, stdout, stderr, None).await;
            ended.map_err(|error| connection.explain(title, error))
        };
        connection.bounded(title, command.within, cx, work).await
    }

    /// Runs a command or a login shell on a pseudo-terminal, and copies until it ends. The caller puts the local
    /// terminal into raw mode and restores it. `resizes` may end early.
    ///
    /// # Errors
    /// Same as [`Session::pipe`].
    pub async fn on_terminal(
        &self,
        pty: &Pty,
        command: &Command,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        resizes: mpsc::Receiver<WindowSize>,
        cx: &Cx,
    ) -> Result<ExitStatus, SshError> {
        let title = command.title();
        let line = command.text.clone();
        let connection = &self.connection;
        let work = async {
            let mut channel = Channel::new(connection.open(title).await?);
            let started = async {
                channel.request_terminal(pty).await?;
                channel.start(line).await
            };
            let started = started.await;
            started.map_err(|error| connection.explain(title, error))?;
            let ended = channel
                .pump(stdin, stdout, tokio::io::sink(), Some(resizes))
                .await;
            ended.map_err(|error| connection.explain(title, error))
        };
        connection.bounded(title, None, cx, work).await
    }

    /// Starts the machine's SFTP server on this session. Paths are relative to the login directory.
    ///
    /// # Errors
    /// Returns [`SftpError`], for example if the machine has no SFTP server.
    pub async fn sftp(&self, cx: &Cx) -> Result<Sftp, SftpError> {
        Sftp::start(self.connection.clone(), cx).await
    }

    /// Returns whether the connection is known to have ended.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Sends a disconnect message and closes the connection. Dropping the session closes it without the message.
    pub async fn close(self) {
        let goodbye = self
            .connection
            .handle
            .disconnect(Disconnect::ByApplication, "", "");
        // The connection is closed either way, even if the peer does not receive the message.
        let _ = timeout(GOODBYE, goodbye).await;
    }

    fn must_succeed(&self, command: &Command, output: Output) -> Result<Output, SshError> {
        if output.status.success() {
            return Ok(output);
        }
        let said = match printable_tail(&output.stderr) {
            nothing if nothing.is_empty() => printable_tail(&output.stdout),
            said => said,
        };
        Err(SshError::Failed {
            title: command.title().to_owned(),
            host: self.host().to_owned(),
            status: output.status,
            said: match said.is_empty() {
                true => said,
                false => format!(": {said}"),
            },
        })
    }
}

/// Describes why a channel was not opened (RFC 4254, section 5.1).
fn in_words(reason: ChannelOpenFailure) -> String {
    let known = match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "it prohibits sessions",
        ChannelOpenFailure::ConnectFailed => "it opens no further session (MaxSessions)",
        ChannelOpenFailure::UnknownChannelType => "it does not know sessions",
        ChannelOpenFailure::ResourceShortage => "it is short of resources",
        ChannelOpenFailure::Other { reason, .. } => return printable(reason.as_bytes()),
    };
    known.to_owned()
}

/// Timeout for sending the disconnect message.
const GOODBYE: Duration = Duration::from_secs(1);
