//! The interface to the host: one command with input, and its output line by line.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use machine_ops::Cx;
use machine_ssh::{Command, Session};
use machine_types::Secret;
use tokio::io::AsyncWrite;

/// The cause of an unknown outcome: a lost connection, a timeout, a cancellation. A command with a non-zero exit
/// status is not such an error.
pub type RemoteError = Box<dyn Error + Send + Sync>;

/// Receives the output of a command, line by line. A break ends the command.
pub type TakeLine<'a> = dyn FnMut(&str) -> ControlFlow<()> + Send + 'a;

/// A command for the host.
pub struct Job<'a> {
    /// The title in spans and errors.
    pub title: &'a str,
    /// The command line for the login user's shell, of any kind. No secrets.
    pub command: &'a str,
    /// Its complete standard input.
    pub input: &'a Secret,
    /// The timeout.
    pub within: Duration,
}

/// The exit status of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// An exit code.
    Code(u32),
    /// A signal, named without `SIG`.
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
    /// Runs a command to its end. Both its output streams go to `lines` as they arrive, line by line without the line
    /// end; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// [`RemoteError`] if the outcome is unknown, also if `lines` broke. On cancellation (`cx`) it returns soon; the
    /// command may continue on the host.
    async fn run(
        &self,
        job: &Job<'_>,
        lines: &mut TakeLine<'_>,
        cx: &Cx,
    ) -> Result<Exit, RemoteError>;
}

#[async_trait]
impl Remote for Session {
    async fn run(
        &self,
        job: &Job<'_>,
        lines: &mut TakeLine<'_>,
        cx: &Cx,
    ) -> Result<Exit, RemoteError> {
        let command = Command::new(job.title, job.command).within(job.within);
        let lines = Mutex::new(lines);
        let (stdout, stderr) = (Lines::new(&lines), Lines::new(&lines));
        let input = job.input.expose().as_bytes();
        let status = self.pipe(&command, input, stdout, stderr, cx).await?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or("?").to_owned()),
        })
    }
}

/// The maximum length of a buffered line; a longer one is split.
const LONGEST: usize = 64 << 10;

/// Splits the written bytes into lines.
struct Lines<'a, 'b, 'c> {
    taker: &'a Mutex<&'b mut TakeLine<'c>>,
    begun: Vec<u8>,
}

impl<'a, 'b, 'c> Lines<'a, 'b, 'c> {
    fn new(taker: &'a Mutex<&'b mut TakeLine<'c>>) -> Self {
        Self {
            taker,
            begun: Vec::new(),
        }
    }

    fn end_line(&mut self) -> ControlFlow<()> {
        let mut taker = self.taker.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = taker(&String::from_utf8_lossy(&self.begun));
        self.begun.clear();
        taken
    }
}

impl AsyncWrite for Lines<'_, '_, '_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        for byte in bytes {
            if *byte != b'\n' {
                self.begun.push(*byte);
                if self.begun.len() < LONGEST {
                    continue;
                }
            }
            if self.end_line().is_break() {
                return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            let _ = self.end_line();
        }
    }
}
