//! Reads certificates.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use machine_types::Secret;
use pem_rfc7468::LineEnding;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::CertificateError;
use crate::verifier::provider;

/// A parsed certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    not_before: SystemTime,
    not_after: SystemTime,
    is_authority: bool,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    public_key: Vec<u8>,
    key_id: Option<Vec<u8>>,
    addresses: Vec<IpAddr>,
    dns_names: Vec<String>,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`CertificateError::NoCertificate`].
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| CertificateError::NoCertificate)?;
        Self::from_der(der)
    }

    /// Reads every certificate of a PEM text.
    ///
    /// # Errors
    /// [`CertificateError::NoCertificate`] where there is none, or one of them is malformed.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        let all: Vec<Self> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|der| Self::from_der(der.map_err(|_| CertificateError::NoCertificate)?))
            .collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        Ok(all)
    }

    fn from_der(der: CertificateDer<'static>) -> Result<Self, CertificateError> {
        let (rest, x509) =
            X509Certificate::from_der(&der).map_err(|_| CertificateError::NoCertificate)?;
        if !rest.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let mut addresses = Vec::new();
        let mut dns_names = Vec::new();
        let mut key_id = None;
        for extension in x509.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::SubjectKeyIdentifier(id) => key_id = Some(id.0.to_vec()),
                _ => {}
            }
        }
        Ok(Self {
            not_before: system_time(x509.validity().not_before),
            not_after: system_time(x509.validity().not_after),
            is_authority: x509.is_ca(),
            subject: x509.subject().as_raw().to_vec(),
            issuer: x509.issuer().as_raw().to_vec(),
            public_key: x509.public_key().raw.to_vec(),
            key_id,
            addresses,
            dns_names,
            der,
        })
    }

    /// Encodes it as PEM.
    ///
    /// # Errors
    /// [`CertificateError::Crypto`] for a certificate too long to encode.
    pub fn to_pem(&self) -> Result<String, CertificateError> {
        certificate_pem(&self.der)
    }

    /// Returns the start of its validity.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Returns the end of its validity.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Returns whether it is valid at the given time.
    pub fn is_valid_at(&self, moment: SystemTime) -> bool {
        self.not_before <= moment && moment <= self.not_after
    }

    /// Returns whether it may sign other certificates.
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Returns whether a CA has signed it: the names match and the signature is valid. Ignores the dates.
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        if self.issuer != authority.subject {
            return false;
        }
        let (Ok((_, x509)), Ok((_, ca))) = (
            X509Certificate::from_der(&self.der),
            X509Certificate::from_der(&authority.der),
        ) else {
            return false;
        };
        x509.verify_signature(Some(ca.public_key())).is_ok()
    }

    /// Returns whether a host is one of its subject alternative names: an address as an IP name, a name as a DNS
    /// name, ignoring letter case. Wildcards are not expanded.
    pub fn carries(&self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(address) => self.addresses.contains(&address),
            Err(_) => self
                .dns_names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host)),
        }
    }

    /// Lists its subject alternative names, for display.
    pub fn names(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(ToString::to_string);
        self.dns_names.iter().cloned().chain(addresses).collect()
    }

    /// Returns whether a private key matches it.
    ///
    /// # Errors
    /// [`CertificateError::NoKey`] where the text is not a key; [`CertificateError::Crypto`] for a key that cannot be
    /// used.
    pub fn has_key(&self, key: &Secret) -> Result<bool, CertificateError> {
        match CertifiedKey::from_der(vec![self.der.clone()], private_key(key)?, &provider()) {
            Ok(_) => Ok(true),
            Err(rustls::Error::InconsistentKeys(_)) => Ok(false),
            Err(error) => Err(CertificateError::Crypto {
                action: "use",
                source: error.into(),
            }),
        }
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    pub(crate) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }
}

/// Reads the first private key of a PEM text: PKCS#1, PKCS#8 or SEC1. Skips other sections before it, such as `EC
/// PARAMETERS`.
pub(crate) fn private_key(key: &Secret) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| CertificateError::NoKey)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Encodes a certificate as PEM (RFC 7468).
pub(crate) fn certificate_pem(der: &CertificateDer<'_>) -> Result<String, CertificateError> {
    pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|error| {
        CertificateError::Crypto {
            action: "encode",
            source: error.into(),
        }
    })
}
