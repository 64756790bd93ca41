//! Why an engine was not reached, or not believed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::certificate::CertificateError;
use crate::verifier::WrongMachine;

/// Why an engine was not reached, or not believed. The texts are those of Go's `net` package where
/// scripts may look for them.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens there.
    #[error("dial tcp {address}: connect: connection refused")]
    Refused {
        /// `HOST:PORT`.
        address: String,
    },
    /// Nobody answers.
    #[error("dial tcp {address}: i/o timeout")]
    Timeout {
        /// `HOST:PORT`.
        address: String,
        /// For how long.
        within: Duration,
    },
    /// There is no way there, or the name is unknown.
    #[error("dial tcp {address}: connect: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// The operating system's words, as Go prints them.
        reason: String,
    },
    /// The socket of a local engine cannot be used.
    #[error("dial unix {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// EC2 gave the address to somebody else.
    #[error(
        "{address}: another machine answers, with another certificate than this machine was given"
    )]
    WrongMachine {
        /// `HOST:PORT`.
        address: String,
    },
    /// The server is not who it should be, or does not let us in.
    #[error("{address}")]
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The connection ended early.
    #[error("{address}: the connection was lost")]
    Lost {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Whatever answers is no Docker Engine.
    #[error("{address} does not answer like a Docker Engine: {reason}")]
    NotAnEngine {
        /// `HOST:PORT`.
        address: String,
        /// What is odd about the answer.
        reason: String,
    },
    /// Our own certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// TLS cannot be set up with them.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
}

impl DialError {
    /// Tells whether it may be different in a moment: an engine that is just coming up.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::Socket { .. }
        )
    }

    /// Sorts an error of `connect` or of the connection.
    pub(crate) fn connect(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { address },
            io::ErrorKind::TimedOut => Self::Timeout {
                address,
                within: Duration::ZERO,
            },
            _ => Self::Unreachable {
                reason: go_text(error),
                address,
            },
        }
    }

    /// Sorts an error of the handshake: TLS errors travel inside of I/O errors.
    pub(crate) fn handshake(address: &str, error: io::Error) -> Self {
        let address = address.to_owned();
        match error
            .get_ref()
            .and_then(|e| e.downcast_ref::<rustls::Error>())
        {
            Some(source) if is_wrong_machine(source) => Self::WrongMachine { address },
            Some(source) => Self::Tls {
                address,
                source: source.clone(),
            },
            None => Self::Lost {
                address,
                source: error,
            },
        }
    }
}

fn is_wrong_machine(error: &rustls::Error) -> bool {
    use rustls::CertificateError::Other;
    matches!(error, rustls::Error::InvalidCertificate(Other(other)) if other.0.is::<WrongMachine>())
}

/// Says an operating system's error in Go's words: lower case, and no number.
fn go_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
