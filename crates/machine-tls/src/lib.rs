//! Certificates and the dial: the CA, what it issues, and whether the engine that answers is the
//! machine's own.
//!
//! Owns X.509 and TLS. Refuses to know where the files lie: paths and texts are handed in.
//! `libmachine` makes certificates with [`Authority`] and asks engines through [`Endpoint`].

mod authority;
mod certificate;
mod dial;
mod dial_error;
mod engine;
mod http;
mod identity;
mod verifier;

pub use authority::{Authority, VALID_DAYS};
pub use certificate::{CertificateError, KeyedCertificate, Validity};
pub use dial::{Endpoint, check, probe_tcp};
pub use dial_error::DialError;
pub use engine::{EngineVersion, version};
pub use identity::{Identity, Pins};
