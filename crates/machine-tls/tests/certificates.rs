//! What the authority issues, judged by OpenSSL and by Go.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use machine_tls::{Authority, CertificateError, KeyedCertificate, VALID_DAYS, Validity};

fn write(directory: &Path, name: &str, made: &KeyedCertificate) {
    std::fs::write(directory.join(format!("{name}.pem")), &made.certificate).unwrap();
    std::fs::write(directory.join(format!("{name}-key.pem")), made.key.expose()).unwrap();
}

fn authority(directory: &Path) -> Authority {
    Authority::read(&directory.join("ca.pem"), &directory.join("ca-key.pem")).unwrap()
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

/// A machine of tests/run has both programs; elsewhere one that is missing is said.
fn has(program: &str, version: &str) -> bool {
    let found = Command::new(program).arg(version).output().is_ok();
    assert!(
        found || std::env::var_os("TESTS_REQUIRE_TOOLS").is_none() || program == "go",
        "{program} is missing"
    );
    if !found {
        eprintln!("left out: {program} is not installed");
    }
    found
}

fn issue_all(directory: &Path) {
    let (authority, now) = (authority(directory), SystemTime::now());
    let sans = [
        "extra.example".to_owned(),
        "10.9.8.7".to_owned(),
        "2001:db8::7".to_owned(),
    ];
    write(
        directory,
        "client",
        &authority.issue_client("tester.<bootstrap>", now).unwrap(),
    );
    write(
        directory,
        "server",
        &authority
            .issue_server("tester.m1", "127.0.0.1", &sans, now)
            .unwrap(),
    );
}

/// RSA keys as the Go binary wrote them, with OpenSSL's help.
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
fn go_talks_to_a_go_server_with_them() {
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
fn certificates_are_valid_as_long_as_the_go_binarys() {
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    write(
        directory.path(),
        "ca",
        &Authority::make("tester", now).unwrap(),
    );
    let validity = Validity::read(&directory.path().join("ca.pem")).unwrap();
    let five_minutes = Duration::from_secs(300);
    let days = Duration::from_secs(VALID_DAYS * 86_400);
    let close = |a: SystemTime, b: SystemTime| {
        a.duration_since(b)
            .or_else(|_| b.duration_since(a))
            .unwrap()
            < Duration::from_secs(2)
    };
    assert!(close(validity.from, now - five_minutes) && close(validity.until, now + days));
    assert!(validity.covers(now) && !validity.covers(now + days + five_minutes));
}

#[test]
fn a_certificate_is_kept_only_while_it_fits() {
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    write(
        directory.path(),
        "ca",
        &Authority::make("tester", now).unwrap(),
    );
    let authority = authority(directory.path());
    let sans = ["a.example".to_owned()];
    let server = authority
        .issue_server("tester.m1", "10.0.0.1", &sans, now)
        .unwrap();
    assert!(authority.vouches_for(&server, "10.0.0.1", &sans, now));
    assert!(authority.vouches_for(&server, "10.0.0.1", &[], now));
    assert!(
        !authority.vouches_for(&server, "10.0.0.2", &sans, now),
        "another address"
    );
    assert!(
        !authority.vouches_for(&server, "10.0.0.1", &["b.example".to_owned()], now),
        "another name"
    );
    let late = now + Duration::from_secs((VALID_DAYS - 1) * 86_400 + 60);
    assert!(
        !authority.vouches_for(&server, "10.0.0.1", &sans, late),
        "its last day"
    );
    let other = authority
        .issue_server("tester.m1", "10.0.0.1", &sans, now)
        .unwrap();
    let mixed = KeyedCertificate {
        certificate: server.certificate.clone(),
        key: other.key,
    };
    assert!(
        !authority.vouches_for(&mixed, "10.0.0.1", &sans, now),
        "another key"
    );

    write(
        directory.path(),
        "ca",
        &Authority::make("tester", now).unwrap(),
    );
    let renewed = self::authority(directory.path());
    assert!(
        !renewed.vouches_for(&server, "10.0.0.1", &sans, now),
        "another CA of the same name"
    );
}

#[test]
fn what_is_broken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, key) = (
        directory.path().join("ca.pem"),
        directory.path().join("ca-key.pem"),
    );
    let error = |expected: &str| {
        let error = Authority::read(&ca, &key).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        error
    };
    error(&ca.display().to_string());
    std::fs::write(&ca, "no certificate").unwrap();
    error("holds no certificate");
    let now = SystemTime::now();
    write(
        directory.path(),
        "ca",
        &Authority::make("tester", now).unwrap(),
    );
    std::fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    error("holds no private key");
    std::fs::write(&key, Authority::make("tester", now).unwrap().key.expose()).unwrap();
    assert!(matches!(
        error("does not belong"),
        CertificateError::Mismatch { .. }
    ));
}
