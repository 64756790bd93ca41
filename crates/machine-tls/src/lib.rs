//! Certificates and the dial: the CA, what it issues, and whether an engine is the one it should be.
//!
//! Owns X.509 (making and reading), the pins, and a bounded dial of a Docker Engine over TLS or plain
//! TCP. Refuses files (everything is PEM text handed in), the environment and the clock (times are
//! handed in; only I/O bounds are counted here). `libmachine` and `machine-provision` call it.
//!
//! All cryptography is aws-lc-rs, chosen explicitly: no process-wide default is set or needed.
//! Every future here needs a Tokio runtime with I/O and time, a current-thread one will do, and can be dropped at
//! any point: the connection is then closed, and nothing else was touched.

mod authority;
mod certificate;
mod der;
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
