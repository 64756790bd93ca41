//! Certificates and connections to engines: the CA, the certificates that it issues, and the verification of an
//! engine.
//!
//! Owns X.509 (issuing and parsing), the pins, and a connection to a Docker Engine over TLS or plain TCP with a
//! timeout. Reads no files (input is PEM text), no environment and no clock (the caller passes times; only I/O
//! timeouts are measured here). Used by `libmachine` and `machine-provision`.
//!
//! All cryptography is aws-lc-rs, selected explicitly: no process-wide default is set or needed. Every future here
//! needs a Tokio runtime with I/O and time, single-threaded or not, and can be dropped at any point: the connection
//! is then closed, without other side effects.

mod authority;
mod certificate;
mod dial;
mod error;
mod http;
mod identity;
mod verifier;

pub use authority::{Authority, Issued};
pub use certificate::Certificate;
pub use dial::{Dialer, EngineVersion};
pub use error::{CertificateError, DialError, DialPhase};
pub use identity::{Identity, Pins};
