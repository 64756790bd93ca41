//! A certificate with its key, as PEM texts, and what can be read out of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use machine_types::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The largest PEM file that is read: a CA bundle of hundreds of certificates fits.
const LARGEST: u64 = 1 << 20;

/// What is wrong with a certificate or a key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("open {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold what it should.
    #[error("{} holds no {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `certificate`, `private key`.
        what: &'static str,
    },
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate could not be made.
    #[error("cannot make the {what}")]
    Make {
        /// `CA`, `client certificate`, `server certificate`.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct KeyedCertificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM, unencrypted.
    pub key: Secret,
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
}

impl Validity {
    /// Reads it out of the first certificate of a PEM file.
    ///
    /// # Errors
    /// [`CertificateError`] names the file.
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        let der = first_certificate(&read_pem(path)?, path)?;
        parse(&der).map_or_else(
            || {
                Err(CertificateError::Malformed {
                    path: path.to_owned(),
                    what: "certificate",
                })
            },
            |certificate| Ok(Self::of(&certificate)),
        )
    }

    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let at = |seconds: i64| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        };
        let validity = certificate.validity();
        Self {
            from: at(validity.not_before.timestamp()),
            until: at(validity.not_after.timestamp()),
        }
    }

    /// Tells whether it is valid now.
    pub fn covers(&self, now: SystemTime) -> bool {
        self.from <= now && now <= self.until
    }
}

impl KeyedCertificate {
    /// Reads both files; `None` where one of them is not there.
    ///
    /// # Errors
    /// [`CertificateError`] where one is there and cannot be read.
    pub fn read(certificate: &Path, key: &Path) -> Result<Option<Self>, CertificateError> {
        let read = |path: &Path| match read_pem(path) {
            Err(CertificateError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => read.map(Some),
        };
        Ok(match (read(certificate)?, read(key)?) {
            (Some(certificate), Some(key)) => Some(Self {
                certificate: String::from_utf8_lossy(&certificate).into_owned(),
                key: Secret::from(String::from_utf8_lossy(&key).into_owned()),
            }),
            _ => None,
        })
    }
}

/// Reads a file of PEM, bounded.
pub(crate) fn read_pem(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// Takes the first certificate out of PEM.
pub(crate) fn first_certificate(
    pem: &[u8],
    path: &Path,
) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem).map_err(|_| CertificateError::Malformed {
        path: path.to_owned(),
        what: "certificate",
    })
}

/// Parses a certificate; `None` for what is none.
pub(crate) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate)
}
