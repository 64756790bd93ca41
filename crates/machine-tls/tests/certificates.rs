//! Issued certificates, verified by OpenSSL and Go.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use machine_tls::{Authority, Certificate, CertificateError, Issued};
use machine_types::Secret;

fn write(directory: &Path, name: &str, made: &Issued) {
    std::fs::write(directory.join(format!("{name}.pem")), &made.certificate).unwrap();
    std::fs::write(directory.join(format!("{name}-key.pem")), made.key.expose()).unwrap();
}

fn authority(directory: &Path) -> Authority {
    let text = |name| std::fs::read_to_string(directory.join(name)).unwrap();
    Authority::from_pem(&text("ca.pem"), &Secret::from(text("ca-key.pem"))).unwrap()
}

fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// Returns whether a program is installed, and prints a note if not. tests/run requires both programs.
fn has(program: &str, version: &str) -> bool {
    let found = Command::new(program).arg(version).output().is_ok();
    assert!(
        found || std::env::var_os("TESTS_REQUIRE_TOOLS").is_none() || program == "go",
        "{program} is missing"
    );
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn issue_all(directory: &Path) {
    let (authority, now) = (authority(directory), SystemTime::now());
    let hosts = ["127.0.0.1", "extra.example", "10.9.8.7", "2001:db8::7"].map(str::to_owned);
    write(
        directory,
        "client",
        &authority.client("tester", now).unwrap(),
    );
    write(
        directory,
        "server",
        &authority.server("tester", "m1", &hosts, now).unwrap(),
    );
}

/// Makes RSA keys in the Go binary's format with OpenSSL.
fn rsa_authority(directory: &Path) {
    run(
        directory,
        "openssl",
        &["genrsa", "-traditional", "-out", "ca-key.pem", "2048"],
    );
    let arguments = [
        "req",
        "-x509",
        "-new",
        "-key",
        "ca-key.pem",
        "-subj",
        "/O=tester",
        "-days",
        "1080",
        "-out",
        "ca.pem",
    ];
    run(directory, "openssl", &arguments);
    assert!(
        std::fs::read_to_string(directory.join("ca-key.pem"))
            .unwrap()
            .contains("BEGIN RSA PRIVATE KEY")
    );
}

#[test]
fn openssl_accepts_what_a_new_authority_issues() {
    if !has("openssl", "version") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "ca",
        &Authority::make("tester", SystemTime::now()).unwrap(),
    );
    openssl_judges(directory.path());
}

#[test]
fn openssl_accepts_what_an_rsa_authority_issues() {
    if !has("openssl", "version") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    rsa_authority(directory.path());
    openssl_judges(directory.path());
}

fn openssl_judges(directory: &Path) {
    issue_all(directory);
    let verify = |purpose: &str, file: &str| {
        run(
            directory,
            "openssl",
            &["verify", "-CAfile", "ca.pem", "-purpose", purpose, file],
        )
    };
    assert!(verify("sslserver", "server.pem").contains("server.pem: OK"));
    assert!(verify("sslclient", "client.pem").contains("client.pem: OK"));
    let text = run(
        directory,
        "openssl",
        &["x509", "-in", "server.pem", "-noout", "-text"],
    );
    for fact in [
        "Issuer: O = tester\n",
        "Subject: O = tester.m1\n",
        "DNS:localhost, IP Address:127.0.0.1, DNS:extra.example, IP Address:10.9.8.7, IP Address:2001:DB8:0:0:0:0:0:7",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(fact), "{fact:?} is not in {text}");
    }
    let text = run(
        directory,
        "openssl",
        &["x509", "-in", "client.pem", "-noout", "-text"],
    );
    assert!(
        text.contains("Subject: O = \"tester.<bootstrap>\"\n")
            && text.contains("TLS Web Client Authentication"),
        "{text}"
    );
}

#[test]
fn go_client_and_server_accept_issued_certificates() {
    if !has("go", "version") || !has("openssl", "version") {
        return;
    }
    for rsa in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        if rsa {
            rsa_authority(directory.path());
        } else {
            write(
                directory.path(),
                "ca",
                &Authority::make("tester", SystemTime::now()).unwrap(),
            );
        }
        issue_all(directory.path());
        std::fs::write(directory.path().join("main.go"), include_str!("tls.go")).unwrap();
        let said = run(directory.path(), "go", &["run", "main.go"]);
        assert_eq!(said, "hello tester.<bootstrap> over TLS\n");
    }
}

#[test]
fn certificates_are_valid_as_long_as_those_of_the_go_binary() {
    let now = SystemTime::now();
    let ca = Authority::make("tester", now).unwrap();
    let ca = Certificate::from_pem(&ca.certificate).unwrap();
    let five_minutes = Duration::from_secs(300);
    let days = Duration::from_secs(1080 * 86_400);
    assert!(ca.is_valid_at(now) && ca.is_valid_at(now - five_minutes + Duration::from_secs(1)));
    assert!(!ca.is_valid_at(now - five_minutes - Duration::from_secs(2)));
    assert!(ca.is_valid_at(now + days - five_minutes - Duration::from_secs(2)));
    assert!(!ca.is_valid_at(now + days + Duration::from_secs(2)));
}

#[test]
fn a_certificate_matches_its_ca_key_and_hosts() {
    let now = SystemTime::now();
    let [ca, other] = [(); 2].map(|()| Authority::make("tester", now).unwrap());
    let authority = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
    let foreign = Authority::from_pem(&other.certificate, &other.key).unwrap();
    let hosts = ["10.0.0.1", "a.example"].map(str::to_owned);
    let issued = authority.server("tester", "m1", &hosts, now).unwrap();
    let server = Certificate::from_pem(&issued.certificate).unwrap();
    assert!(server.is_signed_by(authority.certificate()));
    assert!(
        !server.is_signed_by(foreign.certificate()),
        "another CA of the same name"
    );
    assert!(
        ["localhost", "10.0.0.1", "A.example"]
            .iter()
            .all(|host| server.carries(host))
    );
    assert!(!server.carries("10.0.0.2"));
    assert!(server.has_key(&issued.key).unwrap());
    assert!(!server.has_key(&other.key).unwrap());
}

#[test]
fn an_error_names_the_broken_input() {
    let now = SystemTime::now();
    let [ca, other] = [(); 2].map(|()| Authority::make("tester", now).unwrap());
    let read =
        |certificate: &str, key: &Secret| Authority::from_pem(certificate, key).err().unwrap();
    assert!(matches!(
        read("no certificate", &ca.key),
        CertificateError::NoCertificate
    ));
    let broken = Secret::new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(matches!(
        read(&ca.certificate, &broken),
        CertificateError::NoKey
    ));
    assert!(matches!(
        read(&ca.certificate, &other.key),
        CertificateError::KeyMismatch
    ));
    let authority = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
    let client = authority.client("tester", now).unwrap();
    assert!(matches!(
        read(&client.certificate, &client.key),
        CertificateError::NotAnAuthority
    ));
    let bad = authority
        .server("tester", "m1", &["bad name".to_owned()], now)
        .err()
        .unwrap();
    assert!(bad.to_string().contains("bad name"), "{bad}");
}
