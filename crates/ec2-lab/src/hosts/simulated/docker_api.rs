//! The Docker endpoint of a simulated host: a TCP socket, TLS, and the few responses that identify the Docker release
//! to a client.
//!
//! Owns the verification of the client's certificate, and the format of `/_ping` and `/version`. Does not support
//! containers. Called by the Docker service of the host, and by its sshd for `docker.sock`.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::listening::Listening;

/// The API versions of Docker 29.
const API_VERSION: &str = "1.52";
const MIN_API_VERSION: &str = "1.44";

/// Reads the PEM files of an endpoint that accepts only clients of the CA.
///
/// # Errors
/// A file cannot be read, or does not fit the others.
pub(super) fn tls(
    ca: &Path,
    certificate: &Path,
    key: &Path,
) -> Result<TlsAcceptor, Box<dyn Error>> {
    let certificates = |path: &Path| {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(
            certificates(certificate)?,
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Opens the endpoint's socket.
///
/// # Errors
/// The message that dockerd writes to the journal.
pub(super) fn listen(address: SocketAddr) -> Result<Listening, String> {
    Listening::on(address)
        .map_err(|error| format!("failed to load listeners: listen tcp {address}: bind: {error}"))
}

/// Serves until it is dropped or its socket closed, connections included.
pub(super) async fn serve(listener: Listening, tls: TlsAcceptor, version: String) {
    let mut connections = JoinSet::new();
    while let Some((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (tls, version) = (tls.clone(), version.clone());
        connections.spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                http(stream, version).await;
            }
        });
    }
}

/// Serves one connection.
pub(super) async fn http<S>(stream: S, version: String)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.uri().path(), &version);
        async move { Ok::<_, Infallible>(response) }
    });
    // Errors of a client that disconnects are ignored.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Answers a request, with or without an API version before the path's last word.
fn answer(path: &str, version: &str) -> Response<Full<Bytes>> {
    let (status, kind, body) = match path.rsplit('/').next() {
        Some("_ping") => (StatusCode::OK, "text/plain", "OK".to_owned()),
        Some("version") => {
            let body = json!({
                "Version": version,
                "ApiVersion": API_VERSION,
                "MinAPIVersion": MIN_API_VERSION,
                "Os": "linux",
                "Arch": "amd64",
            });
            (StatusCode::OK, "application/json", body.to_string())
        }
        _ => {
            let body = json!({ "message": "page not found" });
            (StatusCode::NOT_FOUND, "application/json", body.to_string())
        }
    };
    Response::builder()
        .status(status)
        .header("Api-Version", API_VERSION)
        .header("Content-Type", kind)
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_default()
}
