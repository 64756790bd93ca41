//! Sockets that can stop listening immediately.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::net::{Shutdown, shutdown};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose address is free as soon as it is dropped.
///
/// Closing the socket is not sufficient: a newly forked child of this process has a copy of every descriptor until
/// its exec.
#[derive(Debug)]
pub(super) struct Listening(Arc<TcpListener>);

impl Listening {
    /// Binds the address, without retries.
    pub(super) fn on(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(TcpListener::from_std(socket)?)))
    }

    /// Accepts the next connection; `None` if the socket was closed.
    pub(super) async fn accept(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return Some(accepted),
                // accept(2): the socket is not listening for connections.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return None,
                // A connection that was closed before it was accepted.
                Err(_) => {}
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        close(&self.0);
    }
}

/// The sockets of a host.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<Vec<Weak<TcpListener>>>);

impl Sockets {
    /// Registers a socket, to close it at power-off.
    pub(super) fn add(&self, socket: &Listening) {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&socket.0));
    }

    /// Closes all sockets: their addresses are free afterwards.
    pub(super) fn close(&self) {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in sockets.drain(..).filter_map(|socket| socket.upgrade()) {
            close(&socket);
        }
    }
}

fn close(socket: &TcpListener) {
    // If it fails, the socket is no longer listening.
    let _ = shutdown(socket, Shutdown::Both);
}
