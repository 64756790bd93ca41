//! Which host keys are accepted.

use std::path::PathBuf;

use machine_ops::Cx;
use machine_types::SshEndpoint;
use russh::keys::{Algorithm, PublicKey};

use crate::known_hosts::{Pins, fingerprint};

/// The shortest RSA key that is accepted, in bits: what NIST SP 800-131A (rev. 2, table 2) allows for signatures.
const SHORTEST_RSA: u32 = 2048;

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
    /// Accepts any key. One that the file does not hold takes the place of those that it holds once the login has
    /// succeeded, which is said.
    AcceptNew(PathBuf),
    /// Accepts any key and remembers none: for machines that are checked by other means.
    AcceptAny,
}

/// Why a host key is not accepted, or could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The machine shows another key than the one pinned.
    #[error(
        "the host key of {host} has changed: it shows {shown}, {} has {pinned}", file.display()
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
    /// An RSA key that can be factored.
    #[error(
        "the host key of {host} is an RSA key of {bits} bits, and fewer than {SHORTEST_RSA} are not safe: make a new one on \
         the machine with 'ssh-keygen -A', and remove the short one"
    )]
    Weak {
        /// `HOST:PORT`.
        host: String,
        /// The length of its modulus.
        bits: u32,
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
    accepts_new: bool,
}

impl Verdict {
    /// Reads the pins. `host` is `HOST:PORT`, for errors.
    pub(crate) fn new(policy: &HostKeys, host: &str) -> Result<Self, HostKeyError> {
        let host = host.to_owned();
        let accepts_new = matches!(policy, HostKeys::AcceptNew(_));
        let (file, must_hold) = match policy {
            HostKeys::PinAtFirstContact(file) | HostKeys::AcceptNew(file) => (file.clone(), false),
            HostKeys::AcceptPinnedOnly(file) => (file.clone(), true),
            HostKeys::AcceptAny => {
                return Ok(Self {
                    host,
                    file: PathBuf::new(),
                    pins: None,
                    accepts_new,
                });
            }
        };
        let pins = match Pins::read(&file) {
            Err(HostKeyError::Damaged { .. }) if accepts_new => Pins::none(&file),
            read => read?,
        };
        if must_hold && pins.is_empty() {
            return Err(HostKeyError::NotPinned { host, file });
        }
        Ok(Self {
            host,
            file,
            pins: Some(pins),
            accepts_new,
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
        if let Some(bits) = key.key_data().rsa().map(|rsa| rsa.key_size())
            && bits < SHORTEST_RSA
        {
            return Err(HostKeyError::Weak {
                host: self.host.clone(),
                bits,
            });
        }
        match &self.pins {
            Some(pins) if !self.accepts_new && !pins.is_empty() && !pins.holds(key) => {
                Err(HostKeyError::Changed {
                    host: self.host.clone(),
                    shown: fingerprint(key),
                    pinned: pins.fingerprints(),
                    file: self.file.clone(),
                })
            }
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
        let Some(pins) = &self.pins else {
            return Ok(());
        };
        let unique = cx.ambient.random();
        let (host, port) = (&endpoint.host, endpoint.port);
        if !pins.is_empty() && !pins.holds(key) {
            Pins::none(&self.file).settle(host, port, key, unique)?;
            cx.say(format!(
                "The host key of {} was {}. It is {} from now on.",
                self.host,
                pins.fingerprints(),
                fingerprint(key)
            ));
            return Ok(());
        }
        match pins.settle(host, port, key, unique) {
            // The key is the pinned one, or the first: who may only read the store can use the machine, too.
            Err(HostKeyError::Io { file, source, .. }) if is_read_only(&source) => {
                cx.alert(format!(
                    "WARNING: the host key of {} is not recorded: cannot write {}: {source}",
                    self.host,
                    file.display()
                ));
                Ok(())
            }
            settled => settled,
        }
    }
}

fn is_read_only(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}
