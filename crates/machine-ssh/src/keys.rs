//! SSH key pairs: generation and reading.

use std::path::{Path, PathBuf};

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader};
use machine_ops::files::{self, Links};
use machine_types::Secret;
use pem_rfc7468::LineEnding;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::{Algorithm, PrivateKey, PublicKey};

/// Type of a key pair to generate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519, in OpenSSH's own format. Small and fast, supported by OpenSSH since 6.5.
    #[default]
    Ed25519,
    /// RSA of this many bits, 2048 to 8192, as PKCS#1 in PEM, as the Go binary wrote it. Takes seconds to generate.
    Rsa {
        /// The length of the modulus in bits.
        bits: usize,
    },
}

/// A new key pair.
#[derive(Clone)]
pub struct KeyPair {
    /// Content of the private key file, in PEM, readable by OpenSSH, Go and this crate.
    pub private: Secret,
    /// Public key line, `ssh-ed25519 AAAA…`, with a newline and without a comment.
    pub public: String,
}

/// Generates a key pair with the operating system's random number generator. CPU-bound: run it for RSA on a blocking
/// thread.
///
/// # Errors
/// Returns [`KeyError::Length`] for an RSA key that is too short or too long.
pub fn generate_key_pair(kind: KeyType) -> Result<KeyPair, KeyError> {
    let mut random = safe_rng();
    let key = match kind {
        KeyType::Ed25519 => PrivateKey::random(&mut random, Algorithm::Ed25519),
        KeyType::Rsa { bits } if RSA_BITS.contains(&bits) => RsaKeypair::random(&mut random, bits)
            .and_then(|pair| PrivateKey::new(KeypairData::Rsa(pair), "")),
        KeyType::Rsa { bits } => return Err(KeyError::Length { bits }),
    }
    .map_err(generate_error)?;
    let private = match kind {
        KeyType::Ed25519 => Secret::new(
            key.to_openssh(LineEnding::LF)
                .map_err(generate_error)?
                .as_str(),
        ),
        KeyType::Rsa { .. } => rsa_pem(&key)?,
    };
    let public = public_line_of(key.public_key()).map_err(generate_error)?;
    Ok(KeyPair { private, public })
}

/// OpenSSH calls shorter keys weak; longer ones take minutes to generate.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

fn generate_error(error: impl std::error::Error + Send + Sync + 'static) -> KeyError {
    KeyError::Generate(Box::new(error))
}

/// Returns the line as Go's `ssh.MarshalAuthorizedKey` writes it: without a comment, with a newline.
fn public_line_of(key: &PublicKey) -> Result<String, russh::keys::ssh_key::Error> {
    let public = PublicKey::new(key.key_data().clone(), "");
    Ok(format!("{}\n", public.to_openssh()?.trim_end()))
}

/// Encodes an RSA key as PKCS#1 in PEM. The library encodes PKCS#8 (RFC 5208), whose third field holds the
/// PKCS#1 structure.
fn rsa_pem(key: &PrivateKey) -> Result<Secret, KeyError> {
    let pkcs8 = russh::keys::pkcs8::encode_pkcs8(key).map_err(generate_error)?;
    let pkcs1 = third_field(&pkcs8).map_err(generate_error)?;
    pem_rfc7468::encode_string("RSA PRIVATE KEY", LineEnding::LF, pkcs1)
        .map(Secret::from)
        .map_err(generate_error)
}

/// Returns the value of the third field of a DER sequence.
fn third_field(sequence: &[u8]) -> der::Result<&[u8]> {
    let mut fields = SliceReader::new(AnyRef::from_der(sequence)?.value())?;
    fields.tlv_bytes()?;
    fields.tlv_bytes()?;
    Ok(AnyRef::decode(&mut fields)?.value())
}

/// Reads the private key in a file and returns its public key line, `ssh-rsa AAAA…` with a newline and without a
/// comment. Supports OpenSSH's format, PKCS#1, PKCS#8 and SEC1.
///
/// # Errors
/// Returns a [`KeyError`] that names the file, also for an encrypted key whose public half is not available.
pub fn public_key_line(private: &Path) -> Result<String, KeyError> {
    public_line_of(&public_half(private)?).map_err(|_| KeyError::Malformed {
        file: private.to_owned(),
    })
}

/// Reads the public half of a private key. For an encrypted key, reads it from the header if the file is in OpenSSH's
/// format (openssh-key-v1), else from the file of the same name with the suffix `.pub`.
pub(crate) fn public_half(private: &Path) -> Result<PublicKey, KeyError> {
    match read_private_key(private) {
        Err(KeyError::Encrypted { .. }) => {}
        read => return Ok(read?.public_key().clone()),
    }
    let header = read_text(private)
        .ok()
        .and_then(|text| PrivateKey::from_openssh(text.expose()).ok());
    if let Some(key) = header {
        return Ok(key.public_key().clone());
    }
    let mut beside = private.as_os_str().to_owned();
    beside.push(".pub");
    read_text(Path::new(&beside))
        .ok()
        .and_then(|text| PublicKey::from_openssh(text.expose().trim()).ok())
        .ok_or_else(|| KeyError::NoPublicHalf {
            file: private.to_owned(),
        })
}

/// Maximum size of a key file. An RSA key of 16384 bits has 13 KB.
const LONGEST_FILE: u64 = 64 << 10;

fn read_text(file: &Path) -> Result<Secret, KeyError> {
    let bytes = files::read(file, LONGEST_FILE, Links::Follow).map_err(|error| KeyError::Read {
        file: file.to_owned(),
        source: error.into_io(),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| KeyError::Malformed {
        file: file.to_owned(),
    })?;
    Ok(Secret::from(text))
}

pub(crate) fn read_private_key(file: &Path) -> Result<PrivateKey, KeyError> {
    let malformed = || KeyError::Malformed {
        file: file.to_owned(),
    };
    let text = read_text(file)?;
    match russh::keys::decode_secret_key(text.expose(), None) {
        Ok(key) => Ok(key),
        // PKCS#1 and PKCS#8 declare encryption in their headers, OpenSSH's format inside.
        Err(russh::keys::Error::KeyIsEncrypted) => Err(KeyError::Encrypted {
            file: file.to_owned(),
        }),
        Err(_) if text.expose().contains("ENCRYPTED") => Err(KeyError::Encrypted {
            file: file.to_owned(),
        }),
        Err(_) if PublicKey::from_openssh(text.expose().trim()).is_ok() => Err(KeyError::Public {
            file: file.to_owned(),
        }),
        Err(_) => Err(malformed()),
    }
}

/// Reason why a key cannot be used or generated.
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
    #[error("the private key {} is encrypted, and no agent holds it: load it with ssh-add, or give one without a passphrase", file.display())]
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// The key is protected by a passphrase, and neither its file nor the one with the suffix `.pub` has the public half,
    /// by which the agent knows the key.
    #[error(
        "cannot find the public half of the encrypted key {0}: load the key with ssh-add, and run \
         ssh-keygen -y -f {1} > {1}.pub",
        file.display(),
        crate::shell_quote(&file.display().to_string())
    )]
    NoPublicHalf {
        /// The file.
        file: PathBuf,
    },
    /// The file contains a public key.
    #[error("{} is a public key: give the private key, {}", file.display(), file.with_extension("").display())]
    Public {
        /// The file.
        file: PathBuf,
    },
    /// The file contains no private key, or one of an unknown type.
    #[error("{} is not a private key in OpenSSH, PKCS#1 or PKCS#8 format", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
    },
    /// The key would be too weak, or take minutes to generate.
    #[error("an RSA key of {bits} bits: 2048 to 8192 are possible")]
    Length {
        /// The requested length.
        bits: usize,
    },
    /// The key could not be generated.
    #[error("cannot make a key pair")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
}
