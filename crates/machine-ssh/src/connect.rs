//! One attempt to connect.

use std::time::Duration;

use machine_flow::Cx;
use machine_types::SshEndpoint;

use crate::{ConnectError, Credentials, HostKeys, Session};

/// Connects once: resolves, dials, exchanges keys, checks the host key, logs in, pins.
///
/// # Errors
/// [`ConnectError`] names the layer that failed; it took at most `within`. Nothing is left open.
/// A cancellation ends it at once.
pub async fn connect(
    _endpoint: &SshEndpoint,
    _credentials: &Credentials,
    _host_keys: &HostKeys,
    _cx: &Cx,
    _within: Duration,
) -> Result<Session, ConnectError> {
    todo!()
}
