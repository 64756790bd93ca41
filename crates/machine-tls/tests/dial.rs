//! The dial against real TLS servers on loopback.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use machine_flow::{Cx, MemoryJournal};
use machine_tls::{
    Authority, DialError, Endpoint, Identity, KeyedCertificate, Pins, check, probe_tcp, version,
};
use machine_types::DockerUrl;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(5);

/// A store's certificates in a directory of their own.
struct Store {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        write(
            directory.path(),
            "ca",
            &Authority::make("tester", now).unwrap(),
        );
        let path = |name: &str| directory.path().join(name);
        let authority = Authority::read(&path("ca.pem"), &path("ca-key.pem")).unwrap();
        write(
            directory.path(),
            "client",
            &authority.issue_client("tester.<bootstrap>", now).unwrap(),
        );
        Self {
            directory,
            authority,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn server(&self, name: &str) -> KeyedCertificate {
        let server = self
            .authority
            .issue_server(
                &format!("tester.{name}"),
                "127.0.0.1",
                &[],
                SystemTime::now(),
            )
            .unwrap();
        write(self.directory.path(), name, &server);
        server
    }

    fn endpoint(&self, port: u16, pins: &[&str]) -> Endpoint {
        let identity = Identity::read(
            &self.path("ca.pem"),
            &self.path("client.pem"),
            &self.path("client-key.pem"),
        )
        .unwrap();
        let pins: Vec<_> = pins
            .iter()
            .map(|name| self.path(&format!("{name}.pem")))
            .collect();
        Endpoint::new(url(port), identity, Pins::read(&pins).unwrap()).unwrap()
    }
}

fn write(directory: &Path, name: &str, made: &KeyedCertificate) {
    std::fs::write(directory.join(format!("{name}.pem")), &made.certificate).unwrap();
    std::fs::write(directory.join(format!("{name}-key.pem")), made.key.expose()).unwrap();
}

fn url(port: u16) -> DockerUrl {
    DockerUrl {
        host: "127.0.0.1".into(),
        port,
    }
}

fn cx() -> Cx {
    Cx::new(Arc::<MemoryJournal>::default())
}

/// Serves one connection after the other, each with this answer, and wants a client of the CA.
async fn serve(ca: &str, server: &KeyedCertificate, answer: &'static [u8]) -> u16 {
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

fn ca(store: &Store) -> String {
    std::fs::read_to_string(store.path("ca.pem")).unwrap()
}

const DOCKER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\"}";

#[tokio::test]
async fn a_machine_is_believed_by_its_own_certificate() {
    let store = Store::new();
    let port = serve(&ca(&store), &store.server("server"), DOCKER).await;
    check(&store.endpoint(port, &["server"]), PATIENCE, &cx())
        .await
        .unwrap();
    let said = version(&store.endpoint(port, &["server"]), PATIENCE, &cx())
        .await
        .unwrap();
    assert_eq!(
        (said.version.as_str(), said.api_version.as_str()),
        ("28.2.2", "1.50")
    );
}

#[tokio::test]
async fn another_machine_behind_a_reused_address_is_refused() {
    let store = Store::new();
    let (ours, theirs) = (store.server("ours"), store.server("theirs"));
    let port = serve(&ca(&store), &theirs, DOCKER).await;
    let error = check(&store.endpoint(port, &["ours"]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::WrongMachine { .. }), "{error:?}");
    assert!(!error.is_passing());
    // During a rotation either of two is right; without pins the CA alone decides.
    check(&store.endpoint(port, &["ours", "theirs"]), PATIENCE, &cx())
        .await
        .unwrap();
    check(&store.endpoint(port, &["missing"]), PATIENCE, &cx())
        .await
        .unwrap();
    drop(ours);
}

#[tokio::test]
async fn another_ca_is_refused() {
    let (store, foreign) = (Store::new(), Store::new());
    let port = serve(&ca(&store), &foreign.server("server"), DOCKER).await;
    let error = check(&store.endpoint(port, &[]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_certificate_for_another_address_is_refused() {
    let store = Store::new();
    let elsewhere = store
        .authority
        .issue_server("tester.x", "127.0.0.9", &[], SystemTime::now())
        .unwrap();
    let port = serve(&ca(&store), &elsewhere, DOCKER).await;
    let error = check(&store.endpoint(port, &[]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let store = Store::new();
    let long_ago = SystemTime::now() - Duration::from_secs(2000 * 24 * 60 * 60);
    let expired = store
        .authority
        .issue_server("tester.x", "127.0.0.1", &[], long_ago)
        .unwrap();
    let port = serve(&ca(&store), &expired, DOCKER).await;
    let error = check(&store.endpoint(port, &[]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DialError::Tls { source, .. } if source.to_string().contains("xpired")),
        "{error:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_in_gos_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = Store::new();
    let error = check(&store.endpoint(port, &[]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
    assert!(error.is_passing());
    assert!(matches!(
        probe_tcp(&url(port), PATIENCE, &cx()).await,
        Err(DialError::Refused { .. })
    ));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let store = Store::new();
    let endpoint = store.endpoint(port, &[]);
    let error = check(&endpoint, Duration::from_millis(200), &cx())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("dial tcp 127.0.0.1:{port}: i/o timeout")
    );
    // The port is open all the same.
    probe_tcp(&url(port), PATIENCE, &cx()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_engine_is_named() {
    let store = Store::new();
    let server = store.server("server");
    let answers: [(&[u8], &str); 4] = [
        (b"SSH-2.0-x\r\n", "no HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP status 400"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "no JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n{\"Version\":7}", "no version"),
    ];
    for (answer, reason) in answers {
        let port = serve(&ca(&store), &server, answer).await;
        let error = version(&store.endpoint(port, &["server"]), PATIENCE, &cx())
            .await
            .unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

#[tokio::test]
async fn a_version_cannot_move_the_operators_cursor() {
    let store = Store::new();
    let hostile = b"HTTP/1.1 200 OK\r\n\r\n{\"Version\":\"1\\u001b[2J\",\"ApiVersion\":\"\"}";
    let port = serve(&ca(&store), &store.server("server"), hostile).await;
    let said = version(&store.endpoint(port, &["server"]), PATIENCE, &cx())
        .await
        .unwrap();
    assert!(!said.version.contains('\u{1b}'), "{:?}", said.version);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let store = Store::new();
    static ENDLESS: [u8; 4 << 20] = [b'x'; 4 << 20];
    let port = serve(&ca(&store), &store.server("server"), &ENDLESS).await;
    let error = version(&store.endpoint(port, &["server"]), PATIENCE, &cx())
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::NotAnEngine { .. }), "{error:?}");
}
