//! The client's identity towards an engine, and the pins of a machine's engine.

use std::sync::Arc;
use std::time::SystemTime;

use machine_types::Secret;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::certificate::private_key;
use crate::verifier::provider;
use crate::{Certificate, CertificateError};

/// A trusted CA, and a client certificate with its key: `ca.pem`, `cert.pem`, `key.pem`, read once for any number of
/// dials.
#[derive(Clone)]
pub struct Identity {
    authorities: Vec<Certificate>,
    pub(crate) client: Arc<SingleCertAndKey>,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Identity {
    /// Reads the three PEM texts. `ca` may hold several certificates: each is trusted while it is valid.
    ///
    /// # Errors
    /// Unreadable input; [`CertificateError::KeyMismatch`].
    pub fn from_pem(ca: &str, certificate: &str, key: &Secret) -> Result<Self, CertificateError> {
        let provider = provider();
        let chain = Certificate::all_from_pem(certificate)?;
        let chain = chain.iter().map(|link| link.der().clone()).collect();
        let client = CertifiedKey::from_der(chain, private_key(key)?, &provider).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(_) => CertificateError::KeyMismatch,
                error => CertificateError::Crypto {
                    action: "use",
                    source: error.into(),
                },
            },
        )?;
        Ok(Self {
            authorities: Certificate::all_from_pem(ca)?,
            client: Arc::new(client.into()),
            provider,
        })
    }

    /// Returns the verifier for the CAs that are valid at the given time; `None` where none is. Go rejects an expired
    /// root too; webpki does not check it.
    pub(crate) fn verifier(
        &self,
        now: SystemTime,
    ) -> Result<Option<Arc<WebPkiServerVerifier>>, CertificateError> {
        let unusable =
            |source: Box<dyn std::error::Error + Send + Sync>| CertificateError::Crypto {
                action: "use",
                source,
            };
        let mut roots = RootCertStore::empty();
        for authority in self.authorities.iter().filter(|ca| ca.is_valid_at(now)) {
            roots
                .add(authority.der().clone())
                .map_err(|error| unusable(error.into()))?;
        }
        if roots.is_empty() {
            return Ok(None);
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map(Some)
            .map_err(|error| unusable(error.into()))
    }
}

/// The certificates that were issued to a machine's engine: `server.pem`, and during a rotation the old and the new
/// one.
#[derive(Debug, Clone)]
pub struct Pins(Option<Vec<CertificateDer<'static>>>);

impl Pins {
    /// No pin: every engine of the CA is accepted. For machines of driver `none`, which have no `server.pem`.
    pub fn none() -> Self {
        Self(None)
    }

    /// Accepts only these certificates; an empty list accepts no certificate.
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Self {
        let certificates = certificates.into_iter();
        Self(Some(certificates.map(|pin| pin.der().clone()).collect()))
    }

    pub(crate) fn accept_none(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    pub(crate) fn accept(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|pins| pins.contains(certificate))
    }
}
