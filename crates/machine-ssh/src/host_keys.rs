//! Host key policies.

use std::path::PathBuf;

use machine_ops::Cx;
use machine_types::SshEndpoint;
use russh::keys::{Algorithm, PublicKey};

use crate::known_hosts::{Pins, fingerprint};

/// Minimum length of an RSA key, in bits: NIST SP 800-131A (rev. 2, table 2) allows it for signatures.
const SHORTEST_RSA: u32 = 2048;

/// Host key policy. The files are in OpenSSH's `known_hosts` format, one per machine, so that rsync and sshfs can use
/// them as `UserKnownHostsFile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeys {
    /// Accepts any key if the file is missing or holds none, and saves it there after the login has succeeded. Later
    /// accepts only the keys in the file, whatever the machine's address (if it has changed, the line is rewritten).
    PinAtFirstContact(PathBuf),
    /// Accepts only the keys in the file, and never adds one; a missing file is an error.
    AcceptPinnedOnly(PathBuf),
    /// Accepts any key. After the login has succeeded, a key that is not in the file replaces the keys in it, with a
    /// message.
    AcceptNew(PathBuf),
    /// Accepts any key and saves none: for machines that are authenticated by other means.
    AcceptAny,
}

/// Reason why a host key is not accepted, or could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The host key differs from the pinned one.
    #[error(
        "the host key of {host} has changed: it shows {shown}, {} has {pinned}", file.display()
    )]
    Changed {
        /// `HOST:PORT`.
        host: String,
        /// Fingerprint of the presented key, with its type.
        shown: String,
        /// Fingerprints of the pinned keys, with their types.
        pinned: String,
        /// The file with the pinned keys.
        file: PathBuf,
    },
    /// An RSA key so short that it can be factored.
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
    /// A pinned key is required, but there is none.
    #[error("no host key of {host} is pinned in {}", file.display())]
    NotPinned {
        /// `HOST:PORT`.
        host: String,
        /// The file that should contain the pinned key.
        file: PathBuf,
    },
    /// The file is not empty, but contains no key: it is damaged, and the pinned key is unknown.
    #[error("{} holds no readable host key", file.display())]
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

/// A policy with its file read: accepts or rejects host keys.
pub(crate) struct Verdict {
    host: String,
    file: PathBuf,
    /// `None` if any key is accepted and none saved.
    pins: Option<Pins>,
    accepts_new: bool,
    /// Whether the file is damaged, so that the pinned key is unknown.
    is_damaged: bool,
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
                    is_damaged: false,
                });
            }
        };
        let (pins, is_damaged) = match Pins::read(&file) {
            Err(HostKeyError::Damaged { .. }) if accepts_new => (Pins::none(&file), true),
            read => (read?, false),
        };
        if must_hold && pins.is_empty() {
            return Err(HostKeyError::NotPinned { host, file });
        }
        Ok(Self {
            host,
            file,
            pins: Some(pins),
            accepts_new,
            is_damaged,
        })
    }

    /// Returns whether a key of this type is pinned.
    pub(crate) fn prefers(&self, algorithm: &Algorithm) -> bool {
        let same_type = |pin: &PublicKey| {
            pin.algorithm() == *algorithm
                || (pin.algorithm().is_rsa() && algorithm.clone().is_rsa())
        };
        self.pins
            .as_ref()
            .is_some_and(|pins| pins.keys().any(same_type))
    }

    /// Accepts or rejects a key.
    pub(crate) fn on(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        if let Some(bits) = key.key_data().rsa().map(length)
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

    /// Saves an accepted key under the endpoint's current address.
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
        let settled = pins.settle(host, port, key, unique);
        if self.is_damaged && settled.is_ok() {
            cx.say(format!(
                "The host key of {} was not readable in {}. It is {} from now on.",
                self.host,
                self.file.display(),
                fingerprint(key)
            ));
        }
        match settled {
            // The key is the pinned one, or the first. A user with read-only access to the store can use the machine,
            // too.
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

/// Returns the length of an RSA key in bits. The library's is rounded up to whole bytes.
fn length(key: &russh::keys::ssh_key::public::RsaPublicKey) -> u32 {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(modulus.len() * 8).map_or(u32::MAX, |bits| bits - unused)
}
