//! Certificates of a store, of any age: the binary itself would need years to make them.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS#8.
    pub key: String,
}

impl Pair {
    /// Reads a pair from a store's `certs`: `ca` and `ca-key`, `cert` and `key`.
    pub fn read(certs: &Path, certificate: &str, key: &str) -> Self {
        let text = |name: &str| std::fs::read_to_string(certs.join(format!("{name}.pem"))).unwrap();
        Self {
            certificate: text(certificate),
            key: text(key),
        }
    }

    /// Writes a pair into a store's `certs`.
    pub fn write(&self, certs: &Path, certificate: &str, key: &str) {
        let put = |name: &str, text: &str| {
            std::fs::write(certs.join(format!("{name}.pem")), text).unwrap();
        };
        put(certificate, &self.certificate);
        put(key, &self.key);
    }
}

fn params(organization: &str, days_left: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Only the given name: rcgen's default adds another one, and an aged CA must be the same CA.
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, organization);
    let now = OffsetDateTime::now_utc();
    // The oldest possible for 1080 days in all.
    params.not_before = now - Duration::days(1080 - days_left);
    params.not_after = now + Duration::days(days_left);
    params
}

/// Makes a CA that is valid for this many more days; a negative number makes an expired one.
pub fn authority(days_left: i64) -> Pair {
    aged_authority(&KeyPair::generate().unwrap().serialize_pem(), days_left)
}

/// Makes the certificate of a CA with this key that is valid for this many more days: certificates signed by the CA
/// are valid under either.
pub fn aged_authority(key: &str, days_left: i64) -> Pair {
    let key = KeyPair::from_pem(key).unwrap();
    let mut params = params("tester", days_left);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Pair {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// Issues a client certificate that is valid for this many more days.
pub fn client(authority: &Pair, days_left: i64) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = params("tester.<bootstrap>", days_left);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let ca_key = KeyPair::from_pem(&authority.key).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, ca_key).unwrap();
    Pair {
        certificate: params.signed_by(&key, &issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}
