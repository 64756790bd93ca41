//! The rules for accepting a machine's engine: signed by the CA, valid for that address, and pinned.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, Error, OtherError, SignatureScheme};

use crate::Pins;

/// Returns the aws-lc-rs provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The clock of one dial: the time that the caller passed.
#[derive(Debug)]
pub(crate) struct FixedTime(UnixTime);

impl FixedTime {
    pub(crate) fn new(now: SystemTime) -> Self {
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self(UnixTime::since_unix_epoch(since))
    }
}

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// The certificate is valid but belongs to another machine. rustls carries this error to the error of the dial.
#[derive(Debug, thiserror::Error)]
#[error("not the certificate that this machine was given")]
pub(crate) struct NotPinned;

/// The rules of a public web server, with the CA as the only root, and the pins in addition.
#[derive(Debug)]
pub(crate) struct PinnedVerifier {
    pub(crate) chain: Arc<WebPkiServerVerifier>,
    pub(crate) pins: Pins,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if self.pins.accept(end_entity) {
            return verdict;
        }
        use rustls::CertificateError as Bad;
        // A certificate that is not pinned was not issued to this machine, whatever else is wrong with it: it belongs
        // to another machine, or came from another store. Without any pin, only the CA tells.
        match verdict {
            Err(Error::InvalidCertificate(Bad::BadEncoding)) => verdict,
            Err(Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature))
                if self.pins.accept_none() =>
            {
                verdict
            }
            _ => Err(Error::InvalidCertificate(Bad::Other(OtherError(Arc::new(
                NotPinned,
            ))))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
