//! Connecting to an engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use machine_flow::Cx;
use machine_types::DockerUrl;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial_error::DialError;
use crate::identity::{Identity, Pins};

/// A Docker Engine, and what it takes to talk to it.
pub enum Endpoint {
    /// Over TLS.
    Tls {
        /// Where.
        url: DockerUrl,
        /// The client.
        client: Arc<ClientConfig>,
    },
    /// A socket of this computer (driver `none`).
    Unix(PathBuf),
}

impl Endpoint {
    /// Puts an endpoint together: where it is, who we are, who it has to be.
    ///
    /// # Errors
    /// [`DialError::Setup`] for certificates that TLS cannot use.
    pub fn new(url: DockerUrl, identity: Identity, pins: Pins) -> Result<Self, DialError> {
        Ok(Self::Tls {
            url,
            client: identity.client(pins)?,
        })
    }
}

/// Connects, shows who we are, and checks who answers: a TCP connection and a TLS handshake.
///
/// # Errors
/// [`DialError`]; within the time given, whatever the other side does.
pub async fn check(endpoint: &Endpoint, within: Duration, cx: &Cx) -> Result<(), DialError> {
    match endpoint {
        Endpoint::Tls { url, client } => {
            let connected = connect_tls(url, client);
            bounded(&url.authority(), within, cx, connected)
                .await
                .map(drop)
        }
        Endpoint::Unix(path) => connect_unix(path).await.map(drop),
    }
}

/// Connects and hangs up.
///
/// # Errors
/// As [`check`].
pub async fn probe_tcp(url: &DockerUrl, within: Duration, cx: &Cx) -> Result<(), DialError> {
    bounded(&url.authority(), within, cx, connect_tcp(url))
        .await
        .map(drop)
}

pub(crate) async fn connect_tcp(url: &DockerUrl) -> Result<TcpStream, DialError> {
    let stream = TcpStream::connect((url.host.as_str(), url.port))
        .await
        .map_err(|error| DialError::connect(&url.authority(), &error))?;
    // One small question, one answer: waiting to fill a segment only costs time.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) async fn connect_tls(
    url: &DockerUrl,
    client: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, DialError> {
    let unreachable = |_| DialError::Unreachable {
        address: url.authority(),
        reason: "no such host".into(),
    };
    let name = ServerName::try_from(url.host.clone()).map_err(unreachable)?;
    let stream = connect_tcp(url).await?;
    TlsConnector::from(client.clone())
        .connect(name, stream)
        .await
        .map_err(|error| DialError::handshake(&url.authority(), error))
}

pub(crate) async fn connect_unix(path: &PathBuf) -> Result<tokio::net::UnixStream, DialError> {
    let connected = tokio::net::UnixStream::connect(path).await;
    connected.map_err(|source| DialError::Socket {
        path: path.clone(),
        source,
    })
}

/// Bounds and cancels.
pub(crate) async fn bounded<T>(
    address: &str,
    within: Duration,
    cx: &Cx,
    future: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match cx.cancel.or(tokio::time::timeout(within, future)).await {
        Err(reason) => Err(DialError::Cancelled(reason)),
        Ok(Err(_)) => Err(DialError::Timeout {
            address: address.to_owned(),
            within,
        }),
        Ok(Ok(result)) => result,
    }
}
