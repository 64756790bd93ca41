//! Certificates and the dial: makes and reads CA, client and server certificates, and checks that an engine is the
//! expected one.
//!
//! Owns X.509, the pins, and a dial of a Docker Engine, over TLS or plain TCP, with a timeout. Reads no files (all input
//! is PEM text), no environment and no clock (times are arguments; only I/O timeouts are measured here). Called by
//! `libmachine`.
//!
//! All cryptography is aws-lc-rs, chosen explicitly: no process-wide default is set or needed. Every future here needs a
//! Tokio runtime with I/O and time, and can be dropped at any point: the connection is then closed.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use machine_tls::{Authority, Certificate};
//!
//! let now = SystemTime::now();
//! let ca = Authority::make("alice", now)?;
//! let authority = Authority::from_pem(&ca.certificate, &ca.key)?;
//! let server = authority.server("alice", "runner-1", &["10.0.0.7".to_owned()], now)?;
//! let server = Certificate::from_pem(&server.certificate)?;
//! assert!(server.carries("10.0.0.7") && server.is_signed_by(authority.certificate()));
//! # Ok::<(), machine_tls::CertificateError>(())
//! ```

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
