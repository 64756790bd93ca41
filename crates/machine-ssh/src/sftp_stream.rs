//! Open files of an SFTP session, as streams.
//!
//! Many requests are in flight at once. Their number and size are fixed on this side, which limits the memory that the
//! server can make this process use.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesUnordered, StreamExt};
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of bytes in flight: OpenSSH's window.
const WINDOW: usize = 2 << 20;

/// Maximum number of requests in flight: that of OpenSSH's `sftp`.
const REQUESTS: usize = 64;

/// Returns the maximum number of requests of this length in flight.
fn requests(length: usize) -> usize {
    (WINDOW / length.max(1)).clamp(1, REQUESTS)
}

/// An open file. Dropping it closes it.
pub(crate) struct OpenFile {
    session: Arc<RawSftpSession>,
    handle: String,
    closed: AtomicBool,
}

impl OpenFile {
    pub(crate) fn new(session: Arc<RawSftpSession>, handle: String) -> Self {
        Self {
            session,
            handle,
            closed: AtomicBool::new(false),
        }
    }

    /// Reads a block. It is shorter than `length` only at the end of the file.
    async fn read(self: Arc<Self>, offset: u64, length: u32) -> io::Result<Bytes> {
        let mut block = Vec::new();
        loop {
            let missing = length.saturating_sub(u32::try_from(block.len()).unwrap_or(length));
            if missing == 0 {
                return Ok(block.into());
            }
            let at = offset.saturating_add(block.len() as u64);
            match self.session.read(self.handle.as_str(), at, missing).await {
                Ok(answer) if answer.data.len() > missing as usize => {
                    return Err(io::Error::other("more data than was asked for"));
                }
                Ok(answer) if answer.data.is_empty() => return Ok(block.into()),
                Ok(answer) if block.is_empty() => block = answer.data,
                Ok(answer) => block.extend(answer.data),
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => {
                    return Ok(block.into());
                }
                Err(error) => return Err(words(error)),
            }
        }
    }

    async fn write(self: Arc<Self>, offset: u64, data: Vec<u8>) -> io::Result<()> {
        let written = self.session.write(self.handle.as_str(), offset, data).await;
        written.map(drop).map_err(words)
    }

    async fn close(self: Arc<Self>) -> io::Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        let closed = self.session.close(self.handle.as_str()).await;
        closed.map(drop).map_err(words)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (
            self.closed.load(Ordering::Relaxed),
            tokio::runtime::Handle::try_current(),
        ) else {
            return;
        };
        let (session, handle) = (self.session.clone(), std::mem::take(&mut self.handle));
        runtime.spawn(async move {
            // The error can be ignored: the server closes the remaining files with the session.
            let _ = session.close(handle).await;
        });
    }
}

/// Returns the server's message if it sent one.
fn words(error: Error) -> io::Error {
    match error {
        Error::Status(status) => io::Error::other(status.error_message),
        error => error.into(),
    }
}

/// Reads a file from its start, with read-ahead.
pub(crate) struct Reader {
    blocks: BoxStream<'static, io::Result<Bytes>>,
    block: Bytes,
    length: usize,
    ended: bool,
}

impl Reader {
    /// `length` is the length of one request.
    pub(crate) fn new(file: OpenFile, length: u32) -> Self {
        let file = Arc::new(file);
        let offsets = (0..).map(move |number: u64| number.saturating_mul(length.into()));
        let blocks = stream::iter(offsets)
            .map(move |offset| file.clone().read(offset, length))
            .buffered(requests(length as usize));
        Self {
            blocks: blocks.boxed(),
            block: Bytes::new(),
            length: length as usize,
            ended: false,
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        if reader.block.is_empty() && !reader.ended {
            let block = ready!(reader.blocks.as_mut().poll_next(cx));
            reader.ended = true;
            reader.block = block.transpose()?.unwrap_or_default();
            reader.ended = reader.block.len() < reader.length;
        }
        let length = reader.block.len().min(buffer.remaining());
        buffer.put_slice(reader.block.get(..length).unwrap_or_default());
        reader.block.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// Writes a file from its start. A later write or the shutdown may return the error of an earlier write.
pub(crate) struct Writer {
    file: Arc<OpenFile>,
    offset: u64,
    length: usize,
    pending: FuturesUnordered<BoxFuture<'static, io::Result<()>>>,
    closing: Option<BoxFuture<'static, io::Result<()>>>,
}

impl Writer {
    /// `length` is the length of one request.
    pub(crate) fn new(file: OpenFile, length: usize) -> Self {
        Self {
            file: Arc::new(file),
            offset: 0,
            length,
            pending: FuturesUnordered::new(),
            closing: None,
        }
    }

    /// Processes the available responses. Pending while `bound` or more requests are in flight.
    fn poll_answers(&mut self, cx: &mut Context<'_>, bound: usize) -> Poll<io::Result<()>> {
        loop {
            match self.pending.poll_next_unpin(cx) {
                Poll::Ready(Some(answer)) => answer?,
                Poll::Pending if self.pending.len() >= bound => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let writer = self.get_mut();
        ready!(writer.poll_answers(cx, requests(writer.length)))?;
        let data = data.get(..writer.length).unwrap_or(data);
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let write = writer.file.clone().write(writer.offset, data.to_vec());
        writer.pending.push(Box::pin(write));
        writer.offset += data.len() as u64;
        // Sends the request without waiting for its response.
        ready!(writer.poll_answers(cx, usize::MAX))?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_answers(cx, 1)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = self.get_mut();
        ready!(writer.poll_answers(cx, 1))?;
        let file = &writer.file;
        let closing = writer
            .closing
            .get_or_insert_with(|| Box::pin(file.clone().close()));
        closing.as_mut().poll(cx)
    }
}
