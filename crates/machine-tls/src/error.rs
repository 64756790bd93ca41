//! Errors of certificates and of connections to engines.

use std::error::Error as StdError;
use std::io;

/// A certificate or key that cannot be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The PEM text has no certificate, or a malformed one.
    #[error("no readable PEM certificate")]
    NoCertificate,
    /// The PEM text has no private key, a malformed one, or one with a passphrase.
    #[error("no readable PEM private key without a passphrase (PKCS#1, PKCS#8 or SEC1)")]
    NoKey,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The certificate is not a CA certificate: it must not sign.
    #[error("the certificate is not that of a certificate authority")]
    NotAnAuthority,
    /// A name that a certificate cannot hold.
    #[error("{name:?} is neither an IP address nor a DNS name that a certificate can carry")]
    BadName {
        /// The name.
        name: String,
    },
    /// The certificate could not be made or used.
    #[error("cannot {action} the certificate")]
    Crypto {
        /// `make`, `sign`, `encode`, `use`.
        action: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// The phase that a dial reached.
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

/// The cause of a failed connection, or of a wrong engine. The texts begin like Go's.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No process listens on the port.
    #[error("dial tcp {address}: connect: connection refused")]
    Refused {
        /// `HOST:PORT`.
        address: String,
    },
    /// The timeout expired.
    #[error("dial tcp {address}: i/o timeout{}", during.within())]
    TimedOut {
        /// `HOST:PORT`.
        address: String,
        /// The phase of the timeout.
        during: DialPhase,
    },
    /// There is no route to the host.
    #[error("dial tcp {address}: connect: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// `no route to host`, `network is unreachable`.
        reason: &'static str,
    },
    /// The host name has no address.
    #[error("dial tcp: lookup {host}: no such host")]
    NoSuchHost {
        /// The name.
        host: String,
        /// The resolver's reason.
        #[source]
        source: io::Error,
    },
    /// Another machine has the address: clouds reuse addresses.
    #[error(
        "{address} answers with a certificate that this machine was not given: another machine has its address now"
    )]
    OtherMachine {
        /// `HOST:PORT`.
        address: String,
    },
    /// The same at an address that is the machine's: its certificate was replaced from somewhere else.
    #[error(
        "{address} answers with a certificate that this machine was not given: its host was provisioned again from \
         elsewhere, by another copy of the machine's directory, or is another host; 'docker-machine regenerate-certs \
         {machine}' gives it a certificate from here"
    )]
    ProvisionedElsewhere {
        /// The machine's name.
        machine: String,
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
    /// The certificate, or the CA's, has expired or is not yet valid.
    #[error("x509: {whose} of {address} has expired or is not yet valid")]
    Expired {
        /// `HOST:PORT`.
        address: String,
        /// `the server certificate`, `the CA certificate`.
        whose: &'static str,
    },
    /// The certificate was signed by another CA.
    #[error("x509: the certificate of {address} is signed by an unknown authority")]
    UnknownAuthority {
        /// `HOST:PORT`.
        address: String,
    },
    /// The certificate is not usable for a server.
    #[error("x509: the certificate of {address} cannot be accepted")]
    BadCertificate {
        /// `HOST:PORT`.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The engine rejects the client certificate.
    #[error("{address} refuses the client certificate ({alert})")]
    Rejected {
        /// `HOST:PORT`.
        address: String,
        /// The TLS alert: `UnknownCA`, `CertificateExpired`.
        alert: String,
    },
    /// The server does not speak TLS, supports only TLS versions below 1.2, or does not speak HTTP.
    #[error("{address} is not a Docker Engine")]
    Protocol {
        /// `HOST:PORT`.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The engine returns an HTTP error.
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
    /// Returns whether there was no answer at all: the machine may be down. All other errors mean that the host
    /// answered.
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
