//! Opens TCP connections to a host.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use machine_types::SshEndpoint;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ConnectError;

/// Delay before the next attempt starts in parallel with an unanswered one. A packet to a machine that has not booted
/// is lost, and TCP resends it only after 1 s, 3 s, 7 s.
const PACE: Duration = Duration::from_millis(250);

/// Maximum number of parallel attempts.
const IN_FLIGHT: usize = 16;

/// Maximum number of addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// Returns `HOST:PORT`, an IPv6 address in brackets.
pub(crate) fn authority(endpoint: &SshEndpoint) -> String {
    if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    }
}

/// Opens a TCP connection with overlapping attempts, and returns the first that is accepted. Ends early when each
/// address has refused.
pub(crate) async fn dial(
    endpoint: &SshEndpoint,
    within: Duration,
) -> Result<TcpStream, ConnectError> {
    let mut refusals = Vec::new();
    match timeout(within, race(endpoint, &mut refusals)).await {
        Ok(result) => result,
        Err(_) => Err(refusals.pop().unwrap_or(ConnectError::NoAnswer {
            address: authority(endpoint),
            within,
        })),
    }
}

async fn race(
    endpoint: &SshEndpoint,
    refusals: &mut Vec<ConnectError>,
) -> Result<TcpStream, ConnectError> {
    let addresses = resolve(endpoint).await?;
    let mut attempts = FuturesUnordered::new();
    let mut next = addresses.iter().cycle();
    loop {
        if attempts.len() < IN_FLIGHT {
            attempts.extend(next.next().map(|address| open(*address)));
        }
        match timeout(PACE, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => {
                refusals.push(refusal(endpoint, error));
                if refusals.len() >= addresses.len() {
                    // A refusal by the machine says more than a network without a route.
                    refusals.sort_by_key(ConnectError::layer);
                    return Err(refusals.pop().unwrap_or(ConnectError::Refused {
                        address: authority(endpoint),
                    }));
                }
            }
            Ok(None) | Err(_) => {}
        }
    }
}

async fn resolve(endpoint: &SshEndpoint) -> Result<Vec<SocketAddr>, ConnectError> {
    machine_net::addresses(&endpoint.host, endpoint.port)
        .await
        .and_then(|mut addresses| match addresses.is_empty() {
            true => Err(io::Error::other("the name has no address")),
            false => {
                addresses.truncate(ADDRESSES);
                Ok(addresses)
            }
        })
        .map_err(|source| ConnectError::Resolve {
            host: endpoint.host.clone(),
            source,
        })
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A TCP socket can connect to itself if its own port is the destination port. Then there is no listener.
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Without this, keystrokes and small requests would wait for the acknowledgement of earlier ones.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn refusal(endpoint: &SshEndpoint, source: io::Error) -> ConnectError {
    let address = authority(endpoint);
    match source.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            ConnectError::Refused { address }
        }
        _ => ConnectError::Unreachable { address, source },
    }
}
