//! Errors of the driver.

use machine_driver::{DriverError, DriverErrorKind};

#[derive(Debug, thiserror::Error)]
pub(crate) enum GenericError {
    #[error("generic driver requires the --generic-ip-address option")]
    AddressMissing,
    #[error("invalid address {address:?}: expected a host name or an IP address{}{}", if hint.is_empty() { "" } else { "; " }, hint)]
    BadAddress { address: String, hint: &'static str },
    #[error("invalid user {0:?}: expected a login name")]
    BadUser(String),
    #[error("cannot resolve {host}")]
    UnknownHost {
        host: String,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid value {value} for flag --{flag}: expected a port from 1 to 65535")]
    BadPort { flag: &'static str, value: i64 },
    #[error("SSH key does not exist: {0:?}")]
    KeyMissing(String),
    #[error("cannot read the saved configuration")]
    Saved(#[source] serde_json::Error),
    #[error("generic driver does not support {0}")]
    Unsupported(&'static str),
}

impl From<GenericError> for DriverError {
    fn from(error: GenericError) -> Self {
        Self::new(DriverErrorKind::Configuration, error)
    }
}
