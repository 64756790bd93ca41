//! A channel of a session: starts a command or shell, and copies its streams until it ends.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::status::Ended;
use crate::{ExitStatus, Pty, WindowSize};

/// Maximum data of one packet (RFC 4253, section 6.1).
const CHUNK: usize = 32 << 10;

/// Code of standard error among a channel's extended data (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// Timeout for sending the message that closes an abandoned channel.
const CLOSING: Duration = Duration::from_secs(10);

/// An open channel. Dropping it before its end closes it, and signals the remote process to end.
pub(crate) struct Channel {
    read: ChannelReadHalf,
    write: Option<ChannelWriteHalf<Msg>>,
}

/// Reason why copying ended without a status.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// The connection is lost.
    Lost,
    /// The server rejected the request.
    Refused,
    /// The channel was closed without an exit status.
    NoStatus,
    /// Reading the local input failed.
    Input(io::Error),
    /// Writing the local output failed.
    Output(io::Error),
}

impl Channel {
    pub(crate) fn new(channel: russh::Channel<Msg>) -> Self {
        let (read, write) = channel.split();
        Self {
            read,
            write: Some(write),
        }
    }

    /// Starts a command, or a login shell.
    pub(crate) async fn start(&mut self, line: Option<String>) -> Result<(), PumpError> {
        let write = self.write()?;
        let sent = match line {
            Some(line) => write.exec(true, line).await,
            None => write.request_shell(true).await,
        };
        self.granted(sent).await
    }

    /// Requests a pseudo-terminal for what is started next.
    pub(crate) async fn request_terminal(&mut self, pty: &Pty) -> Result<(), PumpError> {
        let WindowSize { columns, rows } = pty.size;
        let write = self.write()?;
        let sent = write
            .request_pty(true, &pty.term, columns, rows, 0, 0, &[])
            .await;
        self.granted(sent).await
    }

    fn write(&self) -> Result<&ChannelWriteHalf<Msg>, PumpError> {
        self.write.as_ref().ok_or(PumpError::Lost)
    }

    /// Waits for the response to a request. Discards earlier messages: output starts only after the request succeeded.
    async fn granted(&mut self, sent: Result<(), russh::Error>) -> Result<(), PumpError> {
        sent.map_err(|_| PumpError::Lost)?;
        loop {
            if let Some(answer) = answer(self.read.wait().await) {
                return answer;
            }
        }
    }

    /// Copies until the channel is closed, and returns the exit status.
    pub(crate) async fn pump(
        mut self,
        stdin: impl AsyncRead + Send,
        stdout: impl AsyncWrite + Send,
        stderr: impl AsyncWrite + Send,
        resizes: Option<mpsc::Receiver<WindowSize>>,
    ) -> Result<ExitStatus, PumpError> {
        let Some(write) = self.write.as_ref() else {
            return Err(PumpError::Lost);
        };
        let (stdin, stdout, stderr) = (pin!(stdin), pin!(stdout), pin!(stderr));
        // The three run concurrently, and normally the reader ends first. It continues while the input waits for the
        // machine to accept data, which might otherwise deadlock.
        let result = tokio::select! {
            result = drain(&mut self.read, stdout, stderr) => result,
            error = feed(write, stdin) => Err(error),
            never = resize(write, resizes) => match never {},
        };
        if result.is_ok() {
            // Both sides have closed the channel: no message is left to send.
            self.write = None;
        }
        result
    }
}

/// Starts a subsystem on a channel that becomes a stream.
pub(crate) async fn subsystem(
    mut channel: russh::Channel<Msg>,
    name: &str,
) -> Result<russh::Channel<Msg>, PumpError> {
    let sent = channel.request_subsystem(true, name).await;
    sent.map_err(|_| PumpError::Lost)?;
    loop {
        if let Some(answer) = answer(channel.wait().await) {
            return answer.map(|()| channel);
        }
    }
}

/// Returns the response to a request, if the message is one.
fn answer(message: Option<ChannelMsg>) -> Option<Result<(), PumpError>> {
    match message {
        Some(ChannelMsg::Success) => Some(Ok(())),
        Some(ChannelMsg::Failure) => Some(Err(PumpError::Refused)),
        Some(ChannelMsg::Close) | None => Some(Err(PumpError::Lost)),
        Some(_) => None,
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let (Some(write), Ok(runtime)) = (self.write.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(timeout(CLOSING, async move {
            let _ = write.signal(Sig::TERM).await;
            let _ = write.close().await;
        }));
    }
}

/// Copies from the channel until it is closed.
async fn drain(
    read: &mut ChannelReadHalf,
    mut stdout: Pin<&mut impl AsyncWrite>,
    mut stderr: Pin<&mut impl AsyncWrite>,
) -> Result<ExitStatus, PumpError> {
    let mut ended = None;
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data }) => copy_out(&mut stdout, &data).await?,
            Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                copy_out(&mut stderr, &data).await?;
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => ended = Some(Ended::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                ended = Some(Ended::Signal(signal_word(&signal_name)));
            }
            Some(ChannelMsg::Close) => {
                return ended.map(ExitStatus).ok_or(PumpError::NoStatus);
            }
            None => return Err(PumpError::Lost),
            Some(_) => {}
        }
    }
}

/// Writes and flushes at once: a user may be reading the output.
async fn copy_out(to: &mut Pin<&mut impl AsyncWrite>, data: &[u8]) -> Result<(), PumpError> {
    to.write_all(data).await.map_err(PumpError::Output)?;
    to.flush().await.map_err(PumpError::Output)
}

/// Copies to the channel. Returns only if the input fails.
async fn feed(write: &ChannelWriteHalf<Msg>, mut stdin: Pin<&mut impl AsyncRead>) -> PumpError {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match stdin.read(&mut chunk).await {
            Ok(length) => length,
            Err(error) => return PumpError::Input(error),
        };
        let data = chunk.get(..length).unwrap_or_default();
        let sent = match length {
            0 => write.eof().await,
            _ => write.data_bytes(Bytes::copy_from_slice(data)).await,
        };
        if length == 0 || sent.is_err() {
            // The input has ended, or the channel has, which the reader detects, too.
            return std::future::pending().await;
        }
    }
}

/// Forwards the window's sizes; never returns.
async fn resize(
    write: &ChannelWriteHalf<Msg>,
    resizes: Option<mpsc::Receiver<WindowSize>>,
) -> std::convert::Infallible {
    if let Some(mut resizes) = resizes {
        while let Some(WindowSize { columns, rows }) = resizes.recv().await {
            if write.window_change(columns, rows, 0, 0).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// Returns the signal's name, reduced to its valid characters: the server is untrusted.
fn signal_word(signal: &Sig) -> String {
    let name = match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    };
    let fit = |c: &char| c.is_ascii_alphanumeric() || "-@._".contains(*c);
    name.chars().filter(fit).take(64).collect()
}

/// Keeps the first bytes of a stream, and discards the rest.
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
    limit: usize,
}

impl Kept {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            truncated: false,
            limit,
        }
    }
}

impl AsyncWrite for Kept {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let kept = self.get_mut();
        let room = kept.limit.saturating_sub(kept.bytes.len());
        kept.truncated |= bytes.len() > room;
        kept.bytes.extend(bytes.iter().take(room));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
