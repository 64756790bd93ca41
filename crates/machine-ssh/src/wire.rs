//! The TCP connection under a session. It can be closed from outside, detects a peer that no longer accepts data, and
//! records the peer's first bytes.
//!
//! The protocol runs in a separate task that ends only with its stream. The owner of the [`Hold`] controls that task:
//! dropping it ends the stream, in whatever state it is.

use std::future::{Future, Pending, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Timeout;

/// Maximum time for which the peer may accept no data. Keepalives cannot detect this, because they would have to be
/// written. TCP itself gives up after a quarter of an hour.
const STALLED: Duration = Duration::from_secs(40);

/// Number of recorded bytes: 20 lines of 255 bytes may precede a server's identification, by the library's own limits.
const INTRODUCTION: usize = 6 << 10;

/// The connection.
pub(crate) struct Wire {
    tcp: TcpStream,
    cut: oneshot::Receiver<()>,
    stall: Option<Pin<Box<Timeout<Pending<()>>>>>,
    introduction: Introduction,
    listening: bool,
}

/// Closes the connection when dropped.
pub(crate) struct Hold {
    _cut: oneshot::Sender<()>,
}

/// The first bytes received from the peer.
#[derive(Clone, Default)]
pub(crate) struct Introduction(Arc<Mutex<Vec<u8>>>);

impl Introduction {
    /// Returns the bytes received so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clone()
    }

    /// Returns whether the peer has sent an SSH identification (RFC 4253, section 4.2).
    pub(crate) fn is_ssh(&self) -> bool {
        let bytes = self.bytes();
        let mut lines = bytes.split_inclusive(|b| *b == b'\n');
        lines.any(|line| line.starts_with(b"SSH-") && line.ends_with(b"\n"))
    }
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> (Self, Hold, Introduction) {
        let (sender, cut) = oneshot::channel();
        let introduction = Introduction::default();
        let wire = Self {
            tcp,
            cut,
            stall: None,
            introduction: introduction.clone(),
            listening: true,
        };
        (wire, Hold { _cut: sender }, introduction)
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.cut).poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Forwards a write, and limits the time for which it may be pending.
    fn poll_moving<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.poll_cut(cx)?;
        if let Poll::Ready(result) = write(Pin::new(&mut self.tcp), cx) {
            self.stall = None;
            return Poll::Ready(result);
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::timeout(STALLED, pending())));
        ready!(stall.as_mut().poll(cx)).ok();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the machine takes no data any more",
        )))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        wire.poll_cut(cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut wire.tcp).poll_read(cx, buffer))?;
        if wire.listening {
            let fresh = buffer.filled().get(before..).unwrap_or_default();
            let mut kept = wire
                .introduction
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let room = INTRODUCTION.saturating_sub(kept.len());
            kept.extend(fresh.iter().take(room));
            wire.listening = kept.len() < INTRODUCTION;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_moving(cx, |tcp, cx| tcp.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_moving(cx, |tcp, cx| tcp.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
