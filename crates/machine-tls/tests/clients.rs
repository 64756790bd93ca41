//! Client certificates rejected by an engine, and the validity of several authorities.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use machine_tls::{Authority, Certificate, DialError, Dialer, Identity, Issued, Pins};
use machine_types::DockerUrl;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TIMEOUT: Duration = Duration::from_secs(5);
const VERSION: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn authority() -> (Issued, Authority) {
    let ca = Authority::make("tester", SystemTime::now()).unwrap();
    let loaded = Authority::from_pem(&ca.certificate, &ca.key).unwrap();
    (ca, loaded)
}

fn server(authority: &Authority) -> Issued {
    let hosts = ["127.0.0.1".to_owned()];
    authority
        .server("tester", "m1", &hosts, SystemTime::now())
        .unwrap()
}

fn dialer(ca: &str, client: &Issued, server: &Issued, now: SystemTime) -> Dialer {
    let identity = Identity::from_pem(ca, &client.certificate, &client.key).unwrap();
    let pin = Certificate::from_pem(&server.certificate).unwrap();
    Dialer::tls(&identity, &Pins::new([&pin]), now, TIMEOUT).unwrap()
}

/// Serves one version of TLS to clients of a CA, and answers each.
async fn serve(
    version: &'static rustls::SupportedProtocolVersion,
    clients_of: &Issued,
    server: &Issued,
) -> DockerUrl {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(clients_of.certificate.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
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
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(VERSION).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    DockerUrl {
        host: "127.0.0.1".into(),
        port,
    }
}

#[tokio::test]
async fn an_unknown_client_certificate_is_reported_as_rejected() {
    let ((ca, ours), (_, other)) = (authority(), authority());
    let (server, now) = (server(&ours), SystemTime::now());
    let known = ours.client("tester", now).unwrap();
    let unknown = other.client("tester", now).unwrap();
    for version in [&TLS12, &TLS13] {
        let url = serve(version, &ca, &server).await;
        let ask = |client: &Issued| dialer(&ca.certificate, client, &server, now);
        ask(&known).check(&url).await.unwrap();
        ask(&known).version(&url).await.unwrap();
        let error = ask(&unknown).version(&url).await.unwrap_err();
        assert!(
            matches!(error, DialError::Rejected { .. }),
            "{version:?}: {error:?}"
        );
        assert!(!error.is_silence());
    }
}

#[tokio::test]
async fn an_expired_client_certificate_is_reported_as_rejected() {
    let (ca, ours) = authority();
    let (server, now) = (server(&ours), SystemTime::now());
    let long_ago = now - Duration::from_secs(2000 * 24 * 3600);
    let old = ours.client("tester", long_ago).unwrap();
    let url = serve(&TLS13, &ca, &server).await;
    let old = dialer(&ca.certificate, &old, &server, now);
    let error = old.version(&url).await.unwrap_err();
    assert!(matches!(error, DialError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn every_valid_authority_is_trusted() {
    let ((old, ours), (new, _)) = (authority(), authority());
    let (server, now) = (server(&ours), SystemTime::now());
    let client = ours.client("tester", now).unwrap();
    let url = serve(&TLS13, &old, &server).await;
    let both = format!("{}{}", new.certificate, old.certificate);
    let trusting = dialer(&both, &client, &server, now);
    trusting.check(&url).await.unwrap();
    let other = dialer(&new.certificate, &client, &server, now);
    let error = other.check(&url).await.unwrap_err();
    assert!(
        matches!(error, DialError::UnknownAuthority { .. }),
        "{error:?}"
    );
    let after_all = now + Duration::from_secs(1081 * 24 * 3600);
    let late = dialer(&both, &client, &server, after_all);
    let error = late.check(&url).await.unwrap_err();
    assert!(
        error.to_string().contains("the CA certificate"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_plain_dialer_connects_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\n\r\n{\"Version\":\"29.0.1\"}",
        b"HTTP/1.1 503 Busy\r\n\r\n",
    ];
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /version HTTP/1.0\r\n"));
            stream.write_all(answer).await.unwrap();
        }
    });
    let url = DockerUrl {
        host: "localhost".into(),
        port,
    };
    let dialer = Dialer::plain(TIMEOUT);
    assert_eq!(dialer.version(&url).await.unwrap().version, "29.0.1");
    let error = dialer.version(&url).await.unwrap_err();
    assert!(
        matches!(error, DialError::Status { status: 503, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_empty_list_of_pins_accepts_no_certificate() {
    let (ca, ours) = authority();
    let (server, now) = (server(&ours), SystemTime::now());
    let client = ours.client("tester", now).unwrap();
    let url = serve(&TLS13, &ca, &server).await;
    let identity = Identity::from_pem(&ca.certificate, &client.certificate, &client.key).unwrap();
    let dialer = |pins| Dialer::tls(&identity, &pins, now, TIMEOUT).unwrap();
    dialer(Pins::none()).check(&url).await.unwrap();
    let error = dialer(Pins::new([])).check(&url).await.unwrap_err();
    assert!(matches!(error, DialError::OtherMachine { .. }), "{error:?}");
}
