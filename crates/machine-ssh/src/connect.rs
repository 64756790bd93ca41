//! One connection attempt, layer by layer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use machine_ops::Cx;
use machine_types::{SshEndpoint, printable};
use russh::client;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use tokio::time::{Instant, timeout_at};

use crate::authenticate::{Keyring, Login, Offers};
use crate::client::{Client, ClientHandle, KEEPALIVE, Observed};
use crate::dial::{authority, dial};
use crate::host_keys::Verdict;
use crate::session::Connection;
use crate::wire::{Hold, Introduction, Wire};
use crate::{ConnectError, Credentials, HostKeys, Layer, ProtocolError, Session};

/// Connects once: resolves, dials, exchanges keys, checks the host key, logs in, pins the host key.
///
/// # Errors
/// Returns a [`ConnectError`] that names the failed layer, after at most `within`. Leaves nothing open. A cancellation
/// ends the attempt at once.
pub async fn connect(
    endpoint: &SshEndpoint,
    credentials: &Credentials,
    host_keys: &HostKeys,
    cx: &Cx,
    within: Duration,
) -> Result<Session, ConnectError> {
    let attempt = attempt(endpoint, credentials, host_keys, cx, within, within);
    match cx.cancel.or(attempt).await {
        Ok(result) => result,
        Err(reason) => Err(ConnectError::Cancelled(reason)),
    }
}

/// Resolves, dials, exchanges keys and checks the host key. Makes no login, and writes no pin.
///
/// # Errors
/// Same as [`connect`]. The TCP connection takes at most `dial_within`.
pub async fn check_host_key(
    endpoint: &SshEndpoint,
    host_keys: &HostKeys,
    cx: &Cx,
    dial_within: Duration,
    within: Duration,
) -> Result<(), ConnectError> {
    let deadline = Instant::now() + within;
    let greeting = handshake(endpoint, host_keys, dial_within, deadline, within);
    match cx.cancel.or(greeting).await {
        Ok(result) => result.map(drop),
        Err(reason) => Err(ConnectError::Cancelled(reason)),
    }
}

/// A connection whose host key is accepted, before the login.
struct Greeted {
    handle: ClientHandle,
    observed: Observed,
    hold: Hold,
    /// When sshd accepted the connection.
    connected: Instant,
}

async fn handshake(
    endpoint: &SshEndpoint,
    host_keys: &HostKeys,
    dial_within: Duration,
    deadline: Instant,
    within: Duration,
) -> Result<Greeted, ConnectError> {
    let address = authority(endpoint);
    let verdict = Verdict::new(host_keys, &address).map_err(|source| ConnectError::HostKey {
        address: address.clone(),
        source,
    })?;
    let config = Arc::new(config(&verdict));
    let observed = Observed::new(verdict);
    let tcp = dial(endpoint, dial_within).await?;
    let at = Instant::now();
    let (wire, hold, introduction) = Wire::new(tcp);
    let client = Client(observed.clone());
    let connected = client::connect_stream(config, wire, client);
    match timeout_at(deadline, connected).await {
        Ok(Ok(handle)) => Ok(Greeted {
            handle,
            observed,
            hold,
            connected: at,
        }),
        Ok(Err(error)) => Err(handshake_failed(address, &introduction, &observed, error)),
        Err(_) => Err(silent(address, &introduction, within)),
    }
}

/// Same as [`connect`], with a separate timeout for the TCP connection, and without cancellation.
pub(crate) async fn attempt(
    endpoint: &SshEndpoint,
    credentials: &Credentials,
    host_keys: &HostKeys,
    cx: &Cx,
    dial_within: Duration,
    within: Duration,
) -> Result<Session, ConnectError> {
    let address = authority(endpoint);
    let keyring = Keyring::read(credentials, cx).map_err(|source| ConnectError::Key {
        address: address.clone(),
        source,
    })?;
    let not_accepted = |source| ConnectError::HostKey {
        address: address.clone(),
        source,
    };
    let deadline = Instant::now() + within;
    let mut offers = Offers::default();
    let mut connections = 1;
    loop {
        let greeted = handshake(endpoint, host_keys, dial_within, deadline, within).await?;
        let Greeted {
            mut handle,
            observed,
            hold,
            connected,
        } = greeted;

        let refused = offers.refused();
        let login = keyring.log_in(&mut handle, &endpoint.user, &mut offers);
        let error = match timeout_at(deadline, login).await {
            Ok(Login::Accepted(key)) => {
                // Pins only after the login. A machine may generate new host keys while it boots, and until it accepts
                // the key, it is not proven to be the created machine.
                observed.settle(endpoint, cx).map_err(not_accepted)?;
                let took = connected.elapsed();
                let connection = Connection::new(handle, observed, address, took, hold);
                return Ok(Session::new(connection, key));
            }
            Ok(Login::Refused) => None,
            // The server has responded to a key, or reports too many keys: it accepts no further ones.
            Ok(Login::HungUp(_)) if observed.had_enough() || offers.refused() > refused + 1 => None,
            Ok(Login::HungUp(error)) => Some(error),
            Ok(Login::Unusable(source)) => return Err(ConnectError::Key { address, source }),
            Err(_) => {
                return Err(ConnectError::Stalled {
                    address,
                    layer: Layer::Authentication,
                    within,
                });
            }
        };
        let user = endpoint.user.clone();
        if let Some(error) = error {
            return Err(ConnectError::HungUp {
                address,
                user,
                source: ProtocolError(error),
            });
        }
        if connections == MOST_CONNECTIONS || !offers.has_more() {
            return Err(ConnectError::Authentication {
                address,
                user,
                tried: keyring.offered(&offers),
            });
        }
        connections += 1;
    }
}

/// Maximum number of connections of one login. The server ends each after the number of keys that it accepts
/// (MaxAuthTries, 6 by default). OpenSSH 9.8 and later block a client whose logins fail more often within a few
/// seconds.
const MOST_CONNECTIONS: usize = 3;

/// Returns the library's defaults, without SHA-1, and with the pinned key's type first: a server has keys of several
/// types and shows the requested one.
fn config(verdict: &Verdict) -> client::Config {
    let mut key_types = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ];
    key_types.sort_by_key(|algorithm| !verdict.prefers(algorithm));
    let mut config = client::Config {
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..Default::default()
    };
    config.preferred.key = Cow::Owned(key_types);
    config
}

fn handshake_failed(
    address: String,
    introduction: &Introduction,
    observed: &Observed,
    error: russh::Error,
) -> ConnectError {
    if let Some(source) = observed.refused() {
        return ConnectError::HostKey { address, source };
    }
    if introduction.is_ssh() {
        return ConnectError::KeyExchange {
            address,
            source: ProtocolError(error),
        };
    }
    let said = introduction.bytes();
    let what = match (&error, said.is_empty()) {
        (russh::Error::Version, _) => format!("is no SSH server: it says {:?}", printable(&said)),
        (_, true) => "hangs up at once".to_owned(),
        (_, false) => format!("hangs up: it says {:?}", printable(&said)),
    };
    ConnectError::Banner { address, what }
}

fn silent(address: String, introduction: &Introduction, within: Duration) -> ConnectError {
    if introduction.is_ssh() {
        return ConnectError::Stalled {
            address,
            layer: Layer::KeyExchange,
            within,
        };
    }
    let said = introduction.bytes();
    let seconds = within.as_secs();
    let what = match said.is_empty() {
        true => format!("says nothing for {seconds} s"),
        false => format!(
            "has not named its version in {seconds} s: it says {:?}",
            printable(&said)
        ),
    };
    ConnectError::Banner { address, what }
}
