//! The certificate authority of a store: made once, or found as the Go binary left it.
//!
//! Names, usages and lifetimes are the Go binary's. New keys are ECDSA P-256 (NIST FIPS 186-5), which
//! costs a thousandth of an RSA key; an RSA authority that is there goes on signing.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use machine_types::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use crate::certificate::{CertificateError, KeyedCertificate, Validity, parse, read_pem};

/// How long a certificate is valid, in days: the Go binary's three years of 360 days.
pub const VALID_DAYS: u64 = 1080;

/// How far a certificate reaches back, for machines whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// A CA that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Makes a new CA of an organisation (`$USER`).
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn make(organisation: &str, now: SystemTime) -> Result<KeyedCertificate, CertificateError> {
        let make = |source| CertificateError::Make { what: "CA", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        let mut params = params(organisation, now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        let certificate = params.self_signed(&key).map_err(make)?;
        Ok(keyed(&certificate, &key))
    }

    /// Reads a CA: certificate and key, RSA or ECDSA, PKCS#1, SEC1 or PKCS#8.
    ///
    /// # Errors
    /// [`CertificateError`] names the file; a key that belongs to another certificate is refused.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let malformed = |path: &Path, what| CertificateError::Malformed {
            path: path.to_owned(),
            what,
        };
        let der = crate::certificate::first_certificate(&read_pem(certificate)?, certificate)?;
        let key_pem = Secret::from(String::from_utf8_lossy(&read_pem(key)?).into_owned());
        let key_pair =
            KeyPair::from_pem(key_pem.expose()).map_err(|_| malformed(key, "private key"))?;
        let parsed = parse(&der).ok_or_else(|| malformed(certificate, "certificate"))?;
        if parsed.public_key().raw != key_pair.subject_public_key_info() {
            return Err(CertificateError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key_pair)
            .map_err(|_| malformed(certificate, "certificate"))?;
        Ok(Self {
            issuer,
            certificate: der,
        })
    }

    /// Issues a client certificate, for clientAuth only.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn issue_client(
        &self,
        organisation: &str,
        now: SystemTime,
    ) -> Result<KeyedCertificate, CertificateError> {
        let mut params = params(organisation, now);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, "client certificate")
    }

    /// Issues a server certificate for an address, for `localhost`, and for whatever else is
    /// asked for (`--tls-san`); what looks like an IP address becomes an IP SAN (RFC 5280, 4.2.1.6).
    ///
    /// # Errors
    /// [`CertificateError::Make`], for a name that is not ASCII.
    pub fn issue_server(
        &self,
        organisation: &str,
        address: &str,
        sans: &[String],
        now: SystemTime,
    ) -> Result<KeyedCertificate, CertificateError> {
        let make = |source| CertificateError::Make {
            what: "server certificate",
            source,
        };
        let mut params = params(organisation, now);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in names(address, sans) {
            let san = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.try_into().map_err(make)?),
            };
            params.subject_alt_names.push(san);
        }
        self.issue(params, "server certificate")
    }

    /// Tells whether a server certificate is one that this CA signed, is valid for at least
    /// another day, carries the address and all other names, and belongs to its key.
    pub fn vouches_for(
        &self,
        server: &KeyedCertificate,
        address: &str,
        sans: &[String],
        now: SystemTime,
    ) -> bool {
        let (Ok(der), Some(authority), Ok(key)) = (
            CertificateDer::from_pem_slice(server.certificate.as_bytes()),
            parse(&self.certificate),
            KeyPair::from_pem(server.key.expose()),
        ) else {
            return false;
        };
        let Some(certificate) = parse(&der) else {
            return false;
        };
        let carried = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.clone(),
            _ => return false,
        };
        let carries = |name: &str| {
            carried.iter().any(|general| match general {
                GeneralName::DNSName(dns) => dns.eq_ignore_ascii_case(name),
                GeneralName::IPAddress(bytes) => octets(name).is_some_and(|ip| ip == **bytes),
                _ => false,
            })
        };
        let tomorrow = now + Duration::from_secs(24 * 60 * 60);
        // The authority's name stands in for its signature here: a certificate that only claims
        // to be ours is refused by the dial, whose verifier checks the signature.
        certificate.issuer() == authority.subject()
            && signed_by(&certificate, &authority)
            && Validity::of(&certificate).covers(tomorrow)
            && certificate.public_key().raw == key.subject_public_key_info()
            && names(address, sans).iter().all(|name| carries(name))
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        what: &'static str,
    ) -> Result<KeyedCertificate, CertificateError> {
        let make = |source| CertificateError::Make { what, source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(make)?;
        Ok(keyed(&certificate, &key))
    }
}

/// Tells whether the certificate names the authority's key as its signer, where it names any.
fn signed_by(
    certificate: &x509_parser::certificate::X509Certificate<'_>,
    authority: &x509_parser::certificate::X509Certificate<'_>,
) -> bool {
    use x509_parser::extensions::ParsedExtension;
    let named = certificate
        .iter_extensions()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.clone(),
            _ => None,
        });
    let own = authority
        .iter_extensions()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.clone()),
            _ => None,
        });
    match (named, own) {
        (Some(named), Some(own)) => named == own,
        _ => true,
    }
}

fn names(address: &str, sans: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), address.to_owned()];
    for san in sans {
        if !names.contains(san) {
            names.push(san.clone());
        }
    }
    names
}

fn octets(name: &str) -> Option<Vec<u8>> {
    match name.parse().ok()? {
        IpAddr::V4(address) => Some(address.octets().to_vec()),
        IpAddr::V6(address) => Some(address.octets().to_vec()),
    }
}

fn params(organisation: &str, now: SystemTime) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organisation);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + Duration::from_secs(VALID_DAYS * 24 * 60 * 60)).into();
    params
}

fn keyed(certificate: &rcgen::Certificate, key: &KeyPair) -> KeyedCertificate {
    KeyedCertificate {
        certificate: certificate.pem(),
        key: Secret::from(key.serialize_pem()),
    }
}
