//! Authorities that another program made: other keys, other names, other ages.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use machine_tls::{Authority, Certificate, CertificateError};
use machine_types::Secret;

fn openssl(directory: &Path, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// Signs with the CA in the directory, and verifies with OpenSSL: the chain, the dates, and the names' bytes.
fn signs_for_openssl(directory: &Path) {
    let (ca, key) = (text(directory, "ca.pem"), text(directory, "ca-key.pem"));
    let authority = Authority::from_pem(&ca, &Secret::from(key)).unwrap();
    let hosts = ["127.0.0.1".to_owned()];
    let server = authority
        .server("tester", "m1", &hosts, SystemTime::now())
        .unwrap();
    std::fs::write(directory.join("server.pem"), &server.certificate).unwrap();
    openssl(
        directory,
        "verify -x509_strict -purpose sslserver -verify_ip 127.0.0.1 -CAfile ca.pem server.pem",
    );
    let issuer = openssl(directory, "x509 -in server.pem -noout -issuer_hash");
    assert_eq!(
        issuer,
        openssl(directory, "x509 -in ca.pem -noout -subject_hash")
    );
    let read = Certificate::from_pem(&server.certificate).unwrap();
    assert!(read.is_signed_by(authority.certificate()));
    assert!(read.has_key(&server.key).unwrap());
}

/// Makes a self-signed CA for the key in `ca-key.pem`.
fn certify(directory: &Path, subject: &str) {
    openssl(
        directory,
        &format!(
            "req -x509 -new -utf8 -key ca-key.pem -days 1080 -out ca.pem -subj {subject} \
             -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    );
}

#[test]
fn keys_of_every_kind_sign() {
    for make in [
        "genrsa -traditional -out ca-key.pem 2048",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ca-key.pem",
        // Two sections: the curve's name, then the key as SEC1.
        "ecparam -name prime256v1 -genkey -out ca-key.pem",
        "ecparam -name secp384r1 -genkey -noout -out ca-key.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca-key.pem",
        "genpkey -algorithm ED25519 -out ca-key.pem",
    ] {
        let directory = tempfile::tempdir().unwrap();
        openssl(directory.path(), make);
        certify(directory.path(), "/O=tester");
        signs_for_openssl(directory.path());
    }
}

#[test]
fn names_are_copied_byte_by_byte() {
    for subject in [
        "/C=DE/O=Example/OU=Builds/OU=Runners/CN=ca",
        "/O=Example+OU=Both/CN=ca",
        "/O=Grüße/CN=ca",
        "/DC=example/DC=com/emailAddress=a@example.com/CN=ca",
    ] {
        let directory = tempfile::tempdir().unwrap();
        openssl(
            directory.path(),
            "ecparam -name prime256v1 -genkey -noout -out ca-key.pem",
        );
        certify(directory.path(), subject);
        signs_for_openssl(directory.path());
    }
}

#[test]
fn an_authority_without_a_key_id_is_matched_by_name() {
    let directory = tempfile::tempdir().unwrap();
    openssl(directory.path(), "genrsa -traditional -out ca-key.pem 2048");
    openssl(
        directory.path(),
        "req -x509 -new -key ca-key.pem -days 9 -out ca.pem -subj /O=tester -addext subjectKeyIdentifier=none",
    );
    let ca = text(directory.path(), "ca.pem");
    let key = Secret::from(text(directory.path(), "ca-key.pem"));
    let authority = Authority::from_pem(&ca, &key).unwrap();
    let client = authority.client("tester", SystemTime::now()).unwrap();
    std::fs::write(directory.path().join("cert.pem"), &client.certificate).unwrap();
    openssl(
        directory.path(),
        "verify -purpose sslclient -CAfile ca.pem cert.pem",
    );
    let shown = openssl(directory.path(), "x509 -in cert.pem -noout -text");
    assert!(!shown.contains("Authority Key Identifier"), "{shown}");
    assert!(shown.contains("tester.<bootstrap>"), "{shown}");
}

#[test]
fn the_certificate_that_matches_the_key_signs() {
    let now = SystemTime::now();
    let (old, new) = (
        Authority::make("tester", now).unwrap(),
        Authority::make("tester", now).unwrap(),
    );
    let both = format!("{}{}", new.certificate, old.certificate);
    let authority = Authority::from_pem(&both, &old.key).unwrap();
    let expected = Certificate::from_pem(&old.certificate).unwrap();
    assert_eq!(authority.certificate(), &expected);
    // The same name does not make the same authority.
    let issued = authority.client("tester", now).unwrap();
    let issued = Certificate::from_pem(&issued.certificate).unwrap();
    assert!(issued.is_signed_by(&expected));
    assert!(!issued.is_signed_by(&Certificate::from_pem(&new.certificate).unwrap()));
}

#[test]
fn certificates_that_must_not_sign_are_refused() {
    let now = SystemTime::now();
    let ca = Authority::make("tester", now).unwrap();
    let authority = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
    let client = authority.client("tester", now).unwrap();
    let refused = |certificate: &str, key: &Secret| Authority::from_pem(certificate, key).err();
    assert!(matches!(
        refused(&client.certificate, &client.key),
        Some(CertificateError::NotAnAuthority)
    ));
    assert!(matches!(
        refused(&ca.certificate, &client.key),
        Some(CertificateError::KeyMismatch)
    ));
    let locked = Secret::from(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    assert!(matches!(
        refused(&ca.certificate, &locked),
        Some(CertificateError::NoKey)
    ));
}

#[test]
fn an_error_names_an_invalid_host() {
    let now = SystemTime::now();
    let ca = Authority::make("tester", now).unwrap();
    let authority = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
    for bad in ["", "a b", "gr\u{fc}n.example", "a\u{1b}[2J"] {
        let made = authority.server("tester", "m1", &[bad.to_owned()], now);
        let error = made.err().unwrap();
        assert!(matches!(error, CertificateError::BadName { .. }), "{bad:?}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    let hosts = ["*.example", "localhost", "::1", "::1"].map(str::to_owned);
    let made = authority.server("tester", "m1", &hosts, now).unwrap();
    let names = Certificate::from_pem(&made.certificate).unwrap().names();
    assert_eq!(names, ["localhost", "*.example", "::1"]);
}
