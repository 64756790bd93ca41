//! Connections to real TLS servers on loopback.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use machine_tls::{Authority, Certificate, DialError, Dialer, Identity, Issued, Pins};
use machine_types::{DockerUrl, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A store's certificates in a separate directory.
struct Store {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let ca = Authority::make("tester", now).unwrap();
        let authority = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
        write(directory.path(), "ca", &ca);
        write(
            directory.path(),
            "client",
            &authority.client("tester", now).unwrap(),
        );
        Self {
            directory,
            authority,
        }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    fn server(&self, name: &str) -> Issued {
        let server = self.issue("127.0.0.1", SystemTime::now());
        write(self.directory.path(), name, &server);
        server
    }

    fn issue(&self, address: &str, now: SystemTime) -> Issued {
        self.authority
            .server("tester", "m1", &[address.to_owned()], now)
            .unwrap()
    }

    fn dialer(&self, pins: &[&str]) -> Dialer {
        self.patient(pins, TIMEOUT)
    }

    fn patient(&self, pins: &[&str], within: Duration) -> Dialer {
        let key = Secret::from(self.text("client-key.pem"));
        let identity =
            Identity::from_pem(&self.text("ca.pem"), &self.text("client.pem"), &key).unwrap();
        let pins: Vec<_> = pins
            .iter()
            .map(|name| Certificate::from_pem(&self.text(&format!("{name}.pem"))).unwrap())
            .collect();
        let pins = if pins.is_empty() {
            Pins::none()
        } else {
            Pins::new(&pins)
        };
        Dialer::tls(&identity, &pins, SystemTime::now(), within).unwrap()
    }
}

fn write(directory: &Path, name: &str, made: &Issued) {
    std::fs::write(directory.join(format!("{name}.pem")), &made.certificate).unwrap();
    std::fs::write(directory.join(format!("{name}-key.pem")), made.key.expose()).unwrap();
}

fn url(port: u16) -> DockerUrl {
    DockerUrl {
        host: "127.0.0.1".into(),
        port,
    }
}

/// Serves one connection after the other with the same answer, and requires a client certificate of the CA.
async fn serve(ca: &str, server: &Issued, answer: &'static [u8]) -> u16 {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(server.key.expose().as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

const DOCKER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\"}";

#[tokio::test]
async fn the_pinned_certificate_is_accepted() {
    let store = Store::new();
    let port = serve(&store.text("ca.pem"), &store.server("server"), DOCKER).await;
    store.dialer(&["server"]).check(&url(port)).await.unwrap();
    let said = store.dialer(&["server"]).version(&url(port)).await.unwrap();
    assert_eq!(
        (said.version.as_str(), said.api_version.as_str()),
        ("28.2.2", "1.50")
    );
}

#[tokio::test]
async fn another_machine_behind_a_reused_address_is_refused() {
    let store = Store::new();
    let (ours, theirs) = (store.server("ours"), store.server("theirs"));
    let port = serve(&store.text("ca.pem"), &theirs, DOCKER).await;
    let error = store.dialer(&["ours"]).check(&url(port)).await.unwrap_err();
    assert!(matches!(error, DialError::OtherMachine { .. }), "{error:?}");
    assert!(!error.is_silence());
    // During a rotation either of two pins is accepted; without pins, the CA decides.
    store
        .dialer(&["ours", "theirs"])
        .check(&url(port))
        .await
        .unwrap();
    store.dialer(&[]).check(&url(port)).await.unwrap();
    drop(ours);
}

#[tokio::test]
async fn another_ca_is_refused() {
    let (store, foreign) = (Store::new(), Store::new());
    let port = serve(&store.text("ca.pem"), &foreign.server("server"), DOCKER).await;
    let error = store.dialer(&[]).check(&url(port)).await.unwrap_err();
    assert!(
        matches!(error, DialError::UnknownAuthority { .. }),
        "{error:?}"
    );
    // A machine with a certificate on record was set up by another store, or its address is another machine's now.
    store.server("ours");
    let error = store.dialer(&["ours"]).check(&url(port)).await.unwrap_err();
    assert!(matches!(error, DialError::OtherMachine { .. }), "{error:?}");
}

#[tokio::test]
async fn a_certificate_for_another_address_is_refused() {
    let store = Store::new();
    let elsewhere = store.issue("127.0.0.9", SystemTime::now());
    let port = serve(&store.text("ca.pem"), &elsewhere, DOCKER).await;
    let error = store.dialer(&[]).check(&url(port)).await.unwrap_err();
    assert!(matches!(error, DialError::WrongAddress { .. }), "{error:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let store = Store::new();
    let long_ago = SystemTime::now() - Duration::from_secs(2000 * 24 * 60 * 60);
    let expired = store.issue("127.0.0.1", long_ago);
    let port = serve(&store.text("ca.pem"), &expired, DOCKER).await;
    let error = store.dialer(&[]).check(&url(port)).await.unwrap_err();
    assert!(matches!(error, DialError::Expired { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_has_gos_error_text() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = Store::new();
    let error = store.dialer(&[]).check(&url(port)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
    assert!(error.is_silence());
    assert!(matches!(
        Dialer::plain(TIMEOUT).reach(&url(port)).await,
        Err(DialError::Refused { .. })
    ));
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let store = Store::new();
    let hasty = store.patient(&[], Duration::from_millis(200));
    let error = hasty.check(&url(port)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("dial tcp 127.0.0.1:{port}: i/o timeout")),
        "{text}"
    );
    // The port is open nevertheless.
    Dialer::plain(TIMEOUT).reach(&url(port)).await.unwrap();
}

#[tokio::test]
async fn an_error_names_a_server_that_is_not_an_engine() {
    let store = Store::new();
    let server = store.server("server");
    let answers: [&[u8]; 3] = [
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    ];
    for answer in answers {
        let port = serve(&store.text("ca.pem"), &server, answer).await;
        let error = store
            .dialer(&["server"])
            .version(&url(port))
            .await
            .unwrap_err();
        assert!(
            matches!(error, DialError::Protocol { .. } | DialError::Status { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_an_error() {
    let store = Store::new();
    static ENDLESS: [u8; 4 << 20] = [b'x'; 4 << 20];
    let port = serve(&store.text("ca.pem"), &store.server("server"), &ENDLESS).await;
    let error = store
        .dialer(&["server"])
        .version(&url(port))
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Protocol { .. }), "{error:?}");
}
