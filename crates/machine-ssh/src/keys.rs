//! SSH key pairs: made, and read from files.

use std::path::{Path, PathBuf};

use machine_types::Secret;

/// What kind of key pair to make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519, in OpenSSH's own format. Small, quick, known to OpenSSH since 6.5.
    #[default]
    Ed25519,
    /// RSA of this many bits, 2048 to 8192, as PKCS#1 in PEM, as the Go binary wrote it. Takes
    /// seconds to make.
    Rsa {
        /// The length of the modulus in bits.
        bits: usize,
    },
}

/// A new key pair.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key's file, PEM, for OpenSSH, Go and this crate to read.
    pub private: Secret,
    /// The public key's line, `ssh-ed25519 AAAA…`, with a line end and without a comment.
    pub public: String,
}

/// Makes a key pair with the operating system's random numbers. CPU-bound: RSA belongs on a
/// blocking thread.
///
/// # Errors
/// [`KeyError::Length`] for an RSA key that is too short or too long.
pub fn generate_key_pair(_kind: KeyType) -> Result<KeyPair, KeyError> {
    todo!()
}

/// Reads the private key in a file and returns its public line, `ssh-rsa AAAA…` with a line end
/// and without a comment. OpenSSH's format, PKCS#1, PKCS#8 and SEC1 are understood.
///
/// # Errors
/// [`KeyError`] names the file; an encrypted key is an error, as nobody could be asked.
pub fn public_key_line(_private: &Path) -> Result<String, KeyError> {
    todo!()
}

/// Why a key cannot be used, or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the private key {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The key is protected by a passphrase.
    #[error("the private key {} is encrypted: load it into an ssh-agent, or give one without a passphrase", file.display())]
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// The file holds no private key, or one of an unknown kind.
    #[error("{} is not a private key in OpenSSH, PKCS#1 or PKCS#8 format", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
    },
    /// Such a key would be too weak, or take minutes to make.
    #[error("an RSA key of {bits} bits: 2048 to 8192 are possible")]
    Length {
        /// What was asked for.
        bits: usize,
    },
    /// The key could not be made.
    #[error("cannot make a key pair")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
}
