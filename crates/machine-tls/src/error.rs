//! What can be wrong with a certificate, and with an engine that was dialled.

use std::error::Error as StdError;
use std::io;

/// A certificate or key that cannot be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in the PEM text, or a broken one.
    #[error("no readable PEM certificate")]
    NoCertificate,
    /// There is no private key in the PEM text, a broken one, or one behind a passphrase.
    #[error("no readable PEM private key without a passphrase (PKCS#1, PKCS#8 or SEC1)")]
    NoKey,
    /// The key is of another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The certificate is none of a CA: it may not sign.
    #[error("the certificate is not that of a certificate authority")]
    NotAnAuthority,
    /// A name that no certificate can carry.
    #[error("{name:?} is neither an IP address nor a DNS name that a certificate can carry")]
    BadName {
        /// The name.
        name: String,
    },
    /// The certificate could not be made or used.
    #[error("cannot {action} the certificate")]
    Crypto {
        /// `make`, `sign`, `use`.
        action: &'static str,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// How far a dial had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialPhase {
    /// TCP.
    Connect,
    /// TLS.
    Handshake,
    /// HTTP.
    Answer,
}

impl DialPhase {
    fn within(self) -> &'static str {
        match self {
            Self::Connect => "",
            Self::Handshake => ", connected, but no TLS handshake",
            Self::Answer => ", TLS is up, but no answer",
        }
    }
}

/// Why an engine was not reached, or is not the one that was meant. The texts begin as those of Go do.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens.
    #[error("dial tcp {address}: connect: connection refused")]
    Refused {
        /// `HOST:PORT`.
        address: String,
    },
    /// No answer in time.
    #[error("dial tcp {address}: i/o timeout{}", during.within())]
    TimedOut {
        /// `HOST:PORT`.
        address: String,
        /// What was waited for.
        during: DialPhase,
    },
    /// There is no way there.
    #[error("dial tcp {address}: connect: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// `no route to host`, `network is unreachable`.
        reason: &'static str,
    },
    /// The host name stands for no address.
    #[error("dial tcp: lookup {host}: no such host")]
    NoSuchHost {
        /// The name.
        host: String,
        /// The resolver's reason.
        #[source]
        source: io::Error,
    },
    /// Another machine of the same CA is behind the address: clouds give addresses out again.
    #[error(
        "{address} answers with a certificate that this machine was not given: another machine has its address now"
    )]
    OtherMachine {
        /// `HOST:PORT`.
        address: String,
    },
    /// The certificate is for other addresses.
    #[error("x509: the certificate of {address} is not valid for that address, only for {names}")]
    WrongAddress {
        /// `HOST:PORT`.
        address: String,
        /// The names and addresses in it.
        names: String,
    },
    /// The certificate, or the CA's, is over, or has not begun.
    #[error("x509: {whose} of {address} has expired or is not yet valid")]
    Expired {
        /// `HOST:PORT`.
        address: String,
        /// `the server certificate`, `the CA certificate`.
        whose: &'static str,
    },
    /// The certificate was signed by somebody else.
    #[error("x509: the certificate of {address} is signed by an unknown authority")]
    UnknownAuthority {
        /// `HOST:PORT`.
        address: String,
    },
    /// The certificate is unusable for a server.
    #[error("x509: the certificate of {address} cannot be accepted")]
    BadCertificate {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The engine refuses our client certificate.
    #[error("{address} refuses the client certificate ({alert})")]
    Rejected {
        /// `HOST:PORT`.
        address: String,
        /// The TLS alert: `UnknownCA`, `CertificateExpired`.
        alert: String,
    },
    /// What answers speaks no TLS, or none that we speak (1.2 and up), or no HTTP.
    #[error("{address} does not speak as a Docker Engine does")]
    Protocol {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The engine answers with an HTTP error.
    #[error("the engine at {address} answers with HTTP status {status}")]
    Status {
        /// `HOST:PORT`.
        address: String,
        /// The status.
        status: u16,
    },
    /// The connection broke.
    #[error("the connection to {address} failed")]
    Io {
        /// `HOST:PORT`.
        address: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl DialError {
    /// Tells whether nothing answers at all: the machine may be down. Whatever else is wrong, somebody was there.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::TimedOut {
                    during: DialPhase::Connect,
                    ..
                }
                | Self::Unreachable { .. }
                | Self::NoSuchHost { .. }
        )
    }
}
