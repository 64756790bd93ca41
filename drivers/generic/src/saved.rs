//! The driver's part of `config.json`.

use std::net::IpAddr;

use machine_driver::{Base, DriverError, Options, SavedBase, read_saved};
use machine_types::DOCKER_PORT;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::GenericError;

/// The Go driver's fields, with its names and order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedGeneric {
    #[serde(flatten)]
    pub(crate) base: SavedBase,
    #[serde(rename = "EnginePort")]
    pub(crate) engine_port: u16,
    #[serde(rename = "SSHKey")]
    pub(crate) ssh_key: String,
}

impl Default for SavedGeneric {
    fn default() -> Self {
        Self {
            base: SavedBase::default(),
            engine_port: DOCKER_PORT,
            ssh_key: String::new(),
        }
    }
}

impl SavedGeneric {
    pub(crate) fn from_options(base: &Base, options: &Options) -> Result<Self, DriverError> {
        let ip_address = options.string("generic-ip-address");
        if ip_address.is_empty() {
            return Err(GenericError::AddressMissing.into());
        }
        check_address(&ip_address)?;
        let ssh_user = options.string("generic-ssh-user");
        if ssh_user.starts_with('-') || ssh_user.contains(is_odd) {
            return Err(GenericError::BadUser(ssh_user).into());
        }
        Ok(Self {
            base: SavedBase {
                ip_address,
                ssh_user,
                ssh_port: port(options, "generic-ssh-port")?,
                ..SavedBase::new(base)
            },
            engine_port: port(options, "generic-engine-port")?,
            ssh_key: options.string("generic-ssh-key"),
        })
    }

    pub(crate) fn read(saved: &Value) -> Result<Self, DriverError> {
        read_saved(saved).map_err(|error| GenericError::Saved(error).into())
    }
}

/// Rejects a text that is neither a name nor an address. The error names the flags for its other parts.
fn check_address(address: &str) -> Result<(), GenericError> {
    if address.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let hint = if address.contains("://") || address.contains('/') {
        "give it without a scheme and a path"
    } else if address.contains('@') {
        "give the user with --generic-ssh-user"
    } else if address.starts_with('[') && address.ends_with(']') {
        "give it without brackets"
    } else if is_zoned(address) {
        "an address with a zone is not supported: use another address of the host, or its name"
    } else if address.contains(':') {
        "give the port with --generic-ssh-port"
    } else if address.starts_with('-') || address.contains(is_odd) {
        ""
    } else {
        return Ok(());
    };
    Err(GenericError::BadAddress {
        address: address.to_owned(),
        hint,
    })
}

/// Returns whether a text is a link-local address with its interface, such as `fe80::1%eth0` (RFC 4007, section 11).
fn is_zoned(text: &str) -> bool {
    text.split_once('%')
        .is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok())
}

fn is_odd(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn port(options: &Options, flag: &'static str) -> Result<u16, GenericError> {
    let value = options.int(flag);
    match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(GenericError::BadPort { flag, value }),
    }
}
