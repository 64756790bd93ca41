//! Issues certificates.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag};
use machine_types::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SigningKey,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::CertificateError;
use crate::certificate::{Certificate, certificate_pem, private_key};

/// Lets hosts with slow clocks accept the certificate; same value as the Go binary.
const BACKDATED: Duration = Duration::from_secs(5 * 60);
/// The validity of every certificate; same value as the Go binary.
const VALID: Duration = Duration::from_secs(1080 * 24 * 3600);

/// A certificate and its private key, both PEM. The key is ECDSA P-256 in PKCS#8 without a passphrase, a format that
/// Go, OpenSSL and dockerd read.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: Secret,
}

/// A certificate authority that can sign: one made by this program, by the Go binary (RSA, PKCS#1), or by the user.
pub struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    /// Makes a new CA, `O = USER`, valid for 1080 days from five minutes before `now`. Load it with
    /// [`Authority::from_pem`].
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn make(user: &str, now: SystemTime) -> Result<Issued, CertificateError> {
        let key = new_key()?;
        let mut params = params(user, now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let certificate = params.self_signed(&key).map_err(failed("make"))?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    }

    /// Reads a CA and its key: RSA in PKCS#1 or PKCS#8, ECDSA in SEC1 or PKCS#8, Ed25519 in PKCS#8. Of several
    /// certificates in one text, uses the one that matches the key.
    ///
    /// # Errors
    /// [`CertificateError::KeyMismatch`], [`CertificateError::NotAnAuthority`], and the errors of unreadable input.
    pub fn from_pem(certificate: &str, key: &Secret) -> Result<Self, CertificateError> {
        let certificates = Certificate::all_from_pem(certificate)?;
        let key = KeyPair::try_from(&private_key(key)?).map_err(|_| CertificateError::NoKey)?;
        let public_key = key.subject_public_key_info();
        let certificate = certificates
            .into_iter()
            .find(|certificate| certificate.public_key() == public_key)
            .ok_or(CertificateError::KeyMismatch)?;
        if !certificate.is_authority() {
            return Err(CertificateError::NotAnAuthority);
        }
        Ok(Self { certificate, key })
    }

    /// Returns the CA's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues the client certificate that all machines of a store share, `O = USER.<bootstrap>`.
    ///
    /// # Errors
    /// The system has no randomness, or the CA's key cannot sign.
    pub fn client(&self, user: &str, now: SystemTime) -> Result<Issued, CertificateError> {
        let mut params = params(&format!("{user}.<bootstrap>"), now);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// Issues the server certificate of one machine, `O = USER.MACHINE`, for `localhost` and for `hosts`: its address
    /// and every `--tls-san`. A host that parses as an IP address becomes an IP name, as clients require.
    ///
    /// # Errors
    /// [`CertificateError::BadName`] names the host; otherwise same as [`Authority::client`].
    pub fn server(
        &self,
        user: &str,
        machine: &str,
        hosts: &[String],
        now: SystemTime,
    ) -> Result<Issued, CertificateError> {
        let mut params = params(&format!("{user}.{machine}"), now);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyAgreement,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let localhost = "localhost".to_owned();
        for host in std::iter::once(&localhost).chain(hosts) {
            let name = alternative_name(host)?;
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Issued, CertificateError> {
        let key = new_key()?;
        params.is_ca = IsCa::ExplicitNoCa;
        let mut issuer = CertificateParams::default();
        if let Some(id) = self.certificate.key_id() {
            params.use_authority_key_identifier_extension = true;
            issuer.key_identifier_method = KeyIdMethod::PreSpecified(id.to_vec());
        }
        let draft = params
            .signed_by(&key, &Issuer::from_params(&issuer, &self.key))
            .map_err(failed("sign"))?;
        // rcgen re-encodes the issuer's name, and cannot encode every name (several OUs). Clients compare it with the
        // CA's subject byte by byte, so the original bytes are inserted.
        let signed = with_issuer(draft.der(), self.certificate.subject(), |bytes| {
            self.key.sign(bytes)
        })
        .map_err(|source| CertificateError::Crypto {
            action: "sign",
            source,
        })?;
        Ok(Issued {
            certificate: certificate_pem(&CertificateDer::from(signed))?,
            key: Secret::new(key.serialize_pem()),
        })
    }
}

/// Replaces the issuer's name in a certificate and signs it again with the same algorithm.
///
/// RFC 5280, section 4.1: the signed part begins with version, serial number, algorithm and issuer.
fn with_issuer(
    certificate: &[u8],
    issuer: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, rcgen::Error>,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut certificate = SliceReader::new(AnyRef::from_der(certificate)?.value())?;
    let mut fields = SliceReader::new(AnyRef::decode(&mut certificate)?.value())?;
    let algorithm = certificate.tlv_bytes()?;
    let mut changed = Vec::new();
    for _ in 0..3 {
        changed.extend(fields.tlv_bytes()?);
    }
    fields.tlv_bytes()?;
    changed.extend(issuer);
    changed.extend(fields.read_slice(fields.remaining_len())?);

    let to_be_signed = AnyRef::new(Tag::Sequence, &changed)?.to_der()?;
    let signature = BitStringRef::from_bytes(&sign(&to_be_signed)?)?.to_der()?;
    let signed = [&to_be_signed, algorithm, &signature].concat();
    Ok(AnyRef::new(Tag::Sequence, &signed)?.to_der()?)
}

fn new_key() -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed("make"))
}

fn failed(action: &'static str) -> impl Fn(rcgen::Error) -> CertificateError {
    move |source| CertificateError::Crypto {
        action,
        source: source.into(),
    }
}

fn params(organization: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    params.distinguished_name = name;
    let begin = now.checked_sub(BACKDATED).unwrap_or(now);
    params.not_before = OffsetDateTime::from(begin);
    params.not_after = OffsetDateTime::from(begin + VALID);
    params
}

fn alternative_name(host: &str) -> Result<SanType, CertificateError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || CertificateError::BadName {
        name: host.escape_default().take(300).collect(),
    };
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b));
    if !is_name {
        return Err(bad());
    }
    Ok(SanType::DnsName(host.try_into().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::with_issuer;

    #[test]
    fn a_malformed_certificate_is_an_error() {
        let sign = |_: &[u8]| Ok(vec![1]);
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x03, 0x30, 0x01, 0x00],
        ] {
            assert!(with_issuer(bytes, &[], sign).is_err(), "{bytes:?}");
        }
    }
}
