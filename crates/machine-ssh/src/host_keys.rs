//! Which host keys are accepted.

use std::path::PathBuf;

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
