//! Which host keys are accepted.

use std::path::PathBuf;

use machine_ops::Cx;
use machine_types::SshEndpoint;
use russh::keys::{Algorithm, PublicKey};

use crate::known_hosts::{Pins, fingerprint};

/// Which host keys are accepted. The files are in OpenSSH's `known_hosts` format, one per
/// machine, so that rsync and sshfs can be given them as `UserKnownHostsFile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeys {
    /// Accepts any key while the file is missing or holds none, and writes it there once the
    /// login has succeeded; afterwards accepts only what the file holds, whatever the machine's
    /// address (the line is rewritten when that has changed).
    PinAtFirstContact(PathBuf),
    /// Accepts only what the file holds, and never adds to it; a missing file is an error.
    AcceptPinnedOnly(PathBuf),
    /// Accepts any key and remembers none: for machines that are checked by other means.
    AcceptAny,
}

/// Why a host key is not accepted, or could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The machine shows another key than the one pinned.
    #[error(
        "the host key of {host} has changed: it shows {shown}, {} has {pinned}; if the machine was \
         really set up anew, remove that file", file.display()
    )]
    Changed {
        /// `HOST:PORT`.
        host: String,
        /// The fingerprint of the key shown, with its type.
        shown: String,
        /// The fingerprints of the pinned keys, with their types.
        pinned: String,
        /// The file that holds the pin.
        file: PathBuf,
    },
    /// There must be a pin, and there is none.
    #[error("no host key of {host} is pinned in {}", file.display())]
    NotPinned {
        /// `HOST:PORT`.
        host: String,
        /// The file that should hold the pin.
        file: PathBuf,
    },
    /// The file holds something, and no key: it is damaged, and nobody knows which key was meant.
    #[error("{} holds no readable host key; if the machine is the right one, remove that file", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot {action} {}", file.display())]
    Io {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// The policy with the file read: decides on the key that a host shows.
pub(crate) struct Verdict {
    host: String,
    file: PathBuf,
    /// `None` where any key is accepted and none remembered.
    pins: Option<Pins>,
}

impl Verdict {
    /// Reads the pins. `host` is `HOST:PORT`, for errors.
    pub(crate) fn new(policy: &HostKeys, host: &str) -> Result<Self, HostKeyError> {
        let host = host.to_owned();
        let (file, must_hold) = match policy {
            HostKeys::PinAtFirstContact(file) => (file.clone(), false),
            HostKeys::AcceptPinnedOnly(file) => (file.clone(), true),
            HostKeys::AcceptAny => {
                return Ok(Self {
                    host,
                    file: PathBuf::new(),
                    pins: None,
                });
            }
        };
        let pins = Pins::read(&file)?;
        if must_hold && pins.is_empty() {
            return Err(HostKeyError::NotPinned { host, file });
        }
        Ok(Self {
            host,
            file,
            pins: Some(pins),
        })
    }

    /// Tells whether a key of this type is pinned.
    pub(crate) fn prefers(&self, algorithm: &Algorithm) -> bool {
        let same_type = |pin: &PublicKey| {
            pin.algorithm() == *algorithm
                || (pin.algorithm().is_rsa() && algorithm.clone().is_rsa())
        };
        self.pins
            .as_ref()
            .is_some_and(|pins| pins.keys().any(same_type))
    }

    /// Decides on a key.
    pub(crate) fn on(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        match &self.pins {
            Some(pins) if !pins.is_empty() && !pins.holds(key) => Err(HostKeyError::Changed {
                host: self.host.clone(),
                shown: fingerprint(key),
                pinned: pins.keys().map(fingerprint).collect::<Vec<_>>().join(", "),
                file: self.file.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Remembers an accepted key under the endpoint's present address.
    pub(crate) fn settle(
        &self,
        endpoint: &SshEndpoint,
        key: &PublicKey,
        cx: &Cx,
    ) -> Result<(), HostKeyError> {
        match &self.pins {
            Some(pins) => {
                let unique = cx.ambient.random();
                pins.settle(&endpoint.host, endpoint.port, key, unique)
            }
            None => Ok(()),
        }
    }
}
