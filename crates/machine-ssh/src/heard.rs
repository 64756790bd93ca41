//! A stream that records its first bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use machine_types::printable;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Number of recorded bytes: a line of text.
const KEPT: usize = 80;

/// A stream whose first bytes are recorded.
pub(crate) struct Heard<S> {
    stream: S,
    first: FirstBytes,
    /// Bytes that were read but not passed on yet: the SFTP client asks for four, too few to recognize text.
    unread: Vec<u8>,
}

/// The first bytes of a stream: of the first read if they are an SFTP packet, else more, since a shell may print a text
/// in several writes.
#[derive(Clone, Default)]
pub(crate) struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl FirstBytes {
    pub(crate) fn is_empty(&self) -> bool {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.is_empty()
    }

    /// Returns the first line, printable, if the bytes are text. An SFTP packet is not text: it begins with its length
    /// as four bytes, and the first of them is 0 (draft-ietf-secsh-filexfer-02, section 3).
    pub(crate) fn text(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.first().filter(|first| **first != 0)?;
        let line = bytes
            .split(|byte| *byte == b'\n')
            .find(|line| !line.trim_ascii().is_empty())
            .unwrap_or_default();
        Some(printable(line.trim_ascii()))
    }
}

impl<S> Heard<S> {
    pub(crate) fn new(stream: S) -> (Self, FirstBytes) {
        let first = FirstBytes::default();
        let heard = Self {
            stream,
            first: first.clone(),
            unread: Vec::new(),
        };
        (heard, first)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let heard = self.get_mut();
        if heard.unread.is_empty() {
            let mut first = heard.first.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_packet = first.first() == Some(&0);
            if is_packet || first.len() >= KEPT {
                drop(first);
                return Pin::new(&mut heard.stream).poll_read(cx, buffer);
            }
            let mut space = [0; KEPT];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut heard.stream).poll_read(cx, &mut read))?;
            first.extend(read.filled());
            heard.unread.extend(read.filled());
        }
        let length = heard.unread.len().min(buffer.remaining());
        buffer.put_slice(&heard.unread.drain(..length).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
