//! Waiting for a machine that is still booting.

use std::time::Duration;

use machine_flow::Cx;
use machine_types::SshEndpoint;

use crate::{ConnectError, Credentials, HostKeys, Layer, Session};

/// Waits until a machine can be logged in to, and returns the session.
///
/// Dials at a tight pace while nothing answers or the port is refused, and finishes the
/// handshake on the first connection that is accepted. A refused login is tried again only after
/// seconds: early on it means that the key has not been put there yet, and sshd blocks clients
/// that fail too often. Ends early on what waiting cannot mend: a changed host key, a private
/// key that cannot be used. To end it for a reason of the caller's own (the instance has
/// terminated), drop the future: nothing is left open.
///
/// # Errors
/// [`WaitForSshError::TimedOut`] tells how far it got.
pub async fn wait_for_ssh(
    _endpoint: &SshEndpoint,
    _credentials: &Credentials,
    _host_keys: &HostKeys,
    _cx: &Cx,
    _within: Duration,
) -> Result<Session, WaitForSshError> {
    todo!()
}

/// Why waiting for SSH ended without a session.
#[derive(Debug, thiserror::Error)]
pub enum WaitForSshError {
    /// Patience ran out.
    #[error("no login at {endpoint} within {} s; it got no further than the {reached}, for the last {} s", within.as_secs(), stuck.as_secs())]
    TimedOut {
        /// `USER@HOST:PORT`.
        endpoint: String,
        /// For how long it was tried.
        within: Duration,
        /// The layer that failed last.
        reached: Layer,
        /// Since when it has been that layer.
        stuck: Duration,
        /// The last attempt's error.
        #[source]
        last: ConnectError,
    },
    /// More waiting would not have helped.
    #[error(transparent)]
    Hopeless(ConnectError),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}
