//! Who we are at an engine, and who it has to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::certificate::{CertificateError, read_pem};
use crate::dial_error::DialError;
use crate::verifier::Verifier;

/// The CA that we trust, and the certificate that we show. The runner's files, read once.
pub struct Identity {
    roots: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads `ca.pem`, `cert.pem` and `key.pem`.
    ///
    /// # Errors
    /// [`DialError::Certificates`] names the file.
    pub fn read(ca: &Path, cert: &Path, key: &Path) -> Result<Self, DialError> {
        Ok(Self {
            roots: certificates(ca)?,
            chain: certificates(cert)?,
            key: PrivateKeyDer::from_pem_slice(&read_pem(key)?).map_err(|_| {
                CertificateError::Malformed {
                    path: key.to_owned(),
                    what: "private key",
                }
            })?,
        })
    }

    /// Makes the TLS client: 1.2 or newer, this CA and no other, and only the pinned certificates
    /// where there are pins.
    pub(crate) fn client(self, pins: Pins) -> Result<Arc<ClientConfig>, DialError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(self.roots);
        if added == 0 {
            return Err(DialError::Setup(rustls::Error::General(
                "the CA's certificate cannot be used".into(),
            )));
        }
        let verifier = Verifier::new(roots, provider.clone(), pins)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(DialError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain, self.key)
            .map_err(DialError::Setup)?;
        Ok(Arc::new(config))
    }
}

/// The certificates that a machine may show: its own, and during a rotation the one that is on
/// its way there.
#[derive(Debug, Clone, Default)]
pub struct Pins(pub(crate) Vec<CertificateDer<'static>>);

impl Pins {
    /// No pins: whatever the CA signed for the address will do.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the pins out of files; those that are not there are passed over.
    ///
    /// # Errors
    /// [`DialError::Certificates`] where a file is there and holds no certificate.
    pub fn read(files: &[PathBuf]) -> Result<Self, DialError> {
        let mut pins = Vec::new();
        for file in files {
            match read_pem(file) {
                Ok(pem) => pins.push(crate::certificate::first_certificate(&pem, file)?),
                Err(CertificateError::Unreadable { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self(pins))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = read_pem(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(CertificateError::Malformed {
            path: path.to_owned(),
            what: "certificate",
        }),
    }
}
