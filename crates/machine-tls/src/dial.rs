//! Connects to an engine: TCP, TLS and one request, within one timeout.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use machine_types::DockerUrl;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use serde::Deserialize;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::{self, Answer, HttpError};
use crate::verifier::{FixedTime, NotPinned, PinnedVerifier};
use crate::{CertificateError, DialError, DialPhase, Identity, Pins};

/// The engine's answer to `/version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineVersion {
    /// `29.0.1`.
    pub version: String,
    /// The highest supported API version: `1.52`.
    pub api_version: String,
}

/// Connects to engines. Cheap to make from an [`Identity`] that was read once, one for each machine.
#[derive(Clone)]
pub struct Dialer {
    security: Security,
    within: Duration,
}

#[derive(Clone)]
enum Security {
    Plain,
    Tls(Arc<ClientConfig>),
    /// Every CA has expired, or is not yet valid.
    Expired,
}

impl Dialer {
    /// Makes a dialer for engines without TLS: driver `none` with a plain `tcp://` URL. Each dial takes `within` at
    /// most.
    pub fn plain(within: Duration) -> Self {
        Self {
            security: Security::Plain,
            within,
        }
    }

    /// Makes a dialer that trusts the identity's CA, presents its client certificate, and accepts pinned certificates
    /// only, all validated at `now`. TLS 1.2 and 1.3. Each dial takes `within` at most, including the name lookup.
    ///
    /// # Errors
    /// The CA cannot be used.
    pub fn tls(
        identity: &Identity,
        pins: &Pins,
        now: SystemTime,
        within: Duration,
    ) -> Result<Self, CertificateError> {
        let security = match identity.verifier(now)? {
            None => Security::Expired,
            Some(chain) => {
                let clock = Arc::new(FixedTime::new(now));
                let pins = pins.clone();
                let mut config =
                    ClientConfig::builder_with_details(identity.provider.clone(), clock)
                        .with_safe_default_protocol_versions()
                        .map_err(|error| CertificateError::Crypto {
                            action: "use",
                            source: error.into(),
                        })?
                        .dangerous()
                        .with_custom_certificate_verifier(Arc::new(PinnedVerifier { chain, pins }))
                        .with_client_cert_resolver(identity.client.clone());
                config.resumption = Resumption::disabled();
                Security::Tls(Arc::new(config))
            }
        };
        Ok(Self { security, within })
    }

    /// Connects by TCP and closes the connection, for `url`. Does not verify the server.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::is_silence`] returns whether the host answered.
    pub async fn reach(&self, url: &DockerUrl) -> Result<(), DialError> {
        connect(url, self.deadline()).await.map(drop)
    }

    /// Connects and completes the handshake, for `config`. Over TLS 1.3 an engine rejects a client certificate only
    /// afterwards: [`Dialer::version`] detects that too.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn check(&self, url: &DockerUrl) -> Result<(), DialError> {
        let deadline = self.deadline();
        self.open(url, deadline).await.map(drop)
    }

    /// Requests `/version`, without an API version in the path: every engine supports that.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::Status`] for any status except 200.
    pub async fn version(&self, url: &DockerUrl) -> Result<EngineVersion, DialError> {
        read_version(url.authority(), &self.get(url, "/version").await?)
    }

    /// The same of an engine that listens at a socket of this computer, without TLS.
    ///
    /// # Errors
    /// As [`Dialer::version`]; addresses in them are the socket's path.
    pub async fn version_at_socket(
        socket: &Path,
        within: Duration,
    ) -> Result<EngineVersion, DialError> {
        let deadline = Instant::now() + within;
        let address = || socket.display().to_string();
        let timed_out = |during| DialError::TimedOut {
            address: address(),
            during,
        };
        let mut stream = match timeout_at(deadline, UnixStream::connect(socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => {
                return Err(match source.kind() {
                    io::ErrorKind::ConnectionRefused => DialError::Refused { address: address() },
                    _ => DialError::Io {
                        address: address(),
                        source,
                    },
                });
            }
            Err(_) => return Err(timed_out(DialPhase::Connect)),
        };
        match timeout_at(deadline, http::get(&mut stream, "/version")).await {
            Ok(Ok(answer)) => read_version(address(), &answer),
            Ok(Err(error)) => Err(DialError::Protocol {
                address: address(),
                source: error.into(),
            }),
            Err(_) => Err(timed_out(DialPhase::Answer)),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.within
    }

    async fn get(&self, url: &DockerUrl, path: &str) -> Result<Answer, DialError> {
        let deadline = self.deadline();
        let answer = match self.open(url, deadline).await? {
            Connection::Plain(mut stream) => {
                timeout_at(deadline, http::get(&mut stream, path)).await
            }
            Connection::Tls(mut stream) => {
                timeout_at(deadline, http::get(&mut *stream, path)).await
            }
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(HttpError::Io(error))) => Err(judge(url, error)),
            Ok(Err(error)) => Err(DialError::Protocol {
                address: url.authority(),
                source: error.into(),
            }),
            Err(_) => Err(DialError::TimedOut {
                address: url.authority(),
                during: DialPhase::Answer,
            }),
        }
    }

    async fn open(&self, url: &DockerUrl, deadline: Instant) -> Result<Connection, DialError> {
        let stream = connect(url, deadline).await?;
        let config = match &self.security {
            Security::Plain => return Ok(Connection::Plain(stream)),
            Security::Expired => {
                return Err(DialError::Expired {
                    address: url.authority(),
                    whose: "the CA certificate",
                });
            }
            Security::Tls(config) => config.clone(),
        };
        let name = ServerName::try_from(url.host.clone()).map_err(|error| DialError::Protocol {
            address: url.authority(),
            source: error.into(),
        })?;
        match timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Connection::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(judge(url, error)),
            Err(_) => Err(DialError::TimedOut {
                address: url.authority(),
                during: DialPhase::Handshake,
            }),
        }
    }
}

fn read_version(address: String, answer: &Answer) -> Result<EngineVersion, DialError> {
    if answer.status != 200 {
        return Err(DialError::Status {
            address,
            status: answer.status,
        });
    }
    serde_json::from_slice(&answer.body).map_err(|error| DialError::Protocol {
        address,
        source: error.into(),
    })
}

enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Tries each address of the host in turn until one answers; returns the last of several errors.
async fn connect(url: &DockerUrl, deadline: Instant) -> Result<TcpStream, DialError> {
    let address = || url.authority();
    let timed_out = || DialError::TimedOut {
        address: address(),
        during: DialPhase::Connect,
    };
    let looked_up = machine_net::addresses(&url.host, url.port);
    let targets = match timeout_at(deadline, looked_up).await {
        Ok(Ok(found)) => found,
        Ok(Err(source)) => {
            return Err(DialError::NoSuchHost {
                host: url.host.clone(),
                source,
            });
        }
        Err(_) => return Err(timed_out()),
    };
    let mut last = None;
    for target in targets {
        match timeout_at(deadline, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                // Small messages in both directions; Nagle's algorithm would only add latency.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => return Err(timed_out()),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused { address: address() },
        io::ErrorKind::TimedOut => timed_out(),
        io::ErrorKind::HostUnreachable => DialError::Unreachable {
            address: address(),
            reason: "no route to host",
        },
        io::ErrorKind::NetworkUnreachable => DialError::Unreachable {
            address: address(),
            reason: "network is unreachable",
        },
        _ => DialError::Io {
            address: address(),
            source: error,
        },
    })
}

/// Classifies an I/O error of a TLS stream.
fn judge(url: &DockerUrl, error: io::Error) -> DialError {
    let address = url.authority();
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .cloned();
    match tls {
        None => DialError::Io {
            address,
            source: error,
        },
        Some(rustls::Error::InvalidCertificate(bad)) => judge_certificate(address, bad),
        Some(rustls::Error::AlertReceived(alert)) if is_about_us(alert) => DialError::Rejected {
            address,
            alert: format!("{alert:?}"),
        },
        Some(error) => DialError::Protocol {
            address,
            source: error.into(),
        },
    }
}

fn judge_certificate(address: String, bad: rustls::CertificateError) -> DialError {
    use rustls::CertificateError as Bad;
    match bad {
        Bad::Other(other) if other.0.is::<NotPinned>() => DialError::OtherMachine { address },
        Bad::Expired
        | Bad::ExpiredContext { .. }
        | Bad::NotValidYet
        | Bad::NotValidYetContext { .. } => DialError::Expired {
            address,
            whose: "the server certificate",
        },
        Bad::NotValidForNameContext { presented, .. } => DialError::WrongAddress {
            address,
            names: presented.join(", ").escape_default().take(500).collect(),
        },
        Bad::UnknownIssuer | Bad::BadSignature => DialError::UnknownAuthority { address },
        other => DialError::BadCertificate {
            address,
            source: rustls::Error::InvalidCertificate(other).into(),
        },
    }
}

/// Returns whether an alert (RFC 8446, section 6.2) means that the server rejects the client certificate.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}
