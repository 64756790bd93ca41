//! The Docker endpoint of a simulated host: a TCP socket, TLS, and the few responses that identify the Docker release
//! to a client.
//!
//! Owns the server's certificates on the host's disk, the verification of the client's, and the format of `/_ping`,
//! `/version`, `/info`. Does not support containers. Called by the Docker service of the host.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::dockerd_flags::DockerdFlags;
use super::listening::Listening;
use super::systemd_unit::within;

/// The daemon's description of itself.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    pub(super) version: String,
    pub(super) api_version: String,
    pub(super) min_api_version: String,
    pub(super) host_name: String,
    pub(super) pretty_os: String,
    pub(super) flags: DockerdFlags,
}

/// Reads the TLS files that the flags name; none if the flags do not enable TLS.
///
/// # Errors
/// The message that dockerd writes to the journal.
pub(super) fn tls(flags: &DockerdFlags, root: &Path) -> Result<Option<TlsAcceptor>, String> {
    let verify = flags.on("tlsverify");
    if !verify && !flags.on("tls") {
        return Ok(None);
    }
    // The defaults are the CLI's certificates in ~/.docker of root.
    let path = |flag: &str, default: &str| {
        let path = flags.last(flag).unwrap_or(default).to_owned();
        (within(root, &path), path)
    };
    let (cert_file, cert_name) = path("tlscert", "/root/.docker/cert.pem");
    let (key_file, key_name) = path("tlskey", "/root/.docker/key.pem");
    let pair = |reason: String| {
        format!(
            "failed to create TLS configuration: could not load X509 key pair (cert: \"{cert_name}\", key: \"{key_name}\"): {reason}"
        )
    };
    let chain = CertificateDer::pem_file_iter(&cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pair(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&key_file).map_err(|error| pair(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if verify {
        let (ca_file, ca_name) = path("tlscacert", "/root/.docker/ca.pem");
        let refused = |reason: String| {
            format!(
                "failed to create TLS configuration: could not read CA certificate \"{ca_name}\": {reason}"
            )
        };
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(&ca_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refused(error.to_string()))?;
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| refused(error.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| refused(error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| pair(error.to_string()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Opens the endpoint's socket.
pub(super) fn listen(address: SocketAddr) -> Result<Listening, String> {
    Listening::on(address).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => "address already in use".to_owned(),
            _ => error.to_string(),
        };
        format!("failed to load listeners: listen tcp {address}: bind: {reason}")
    })
}

/// Serves until it is dropped or its socket closed, connections included. Calls `seen` for every request.
pub(super) async fn serve(
    listener: Listening,
    tls: Option<TlsAcceptor>,
    daemon: Daemon,
    seen: impl Fn() + Clone + Send + Sync + 'static,
) {
    let daemon = Arc::new(daemon);
    let mut connections = JoinSet::new();
    loop {
        let Some((stream, _)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let (tls, daemon, seen) = (tls.clone(), Arc::clone(&daemon), seen.clone());
        connections.spawn(async move {
            match tls {
                None => http(stream, daemon, seen).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        http(stream, daemon, seen).await;
                    }
                }
            }
        });
    }
}

/// Serves one connection.
pub(super) async fn http<S>(stream: S, daemon: Arc<Daemon>, seen: impl Fn())
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        seen();
        let response = daemon.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    // Errors of a client that disconnects are ignored.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Daemon {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let (asked, path) = match path
            .strip_prefix("/v")
            .and_then(|rest| rest.split_once('/'))
        {
            Some((version, rest)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                (Some(version), format!("/{rest}"))
            }
            _ => (None, path.to_owned()),
        };
        if let Some(refusal) = asked.and_then(|version| self.refuses(version)) {
            return self.json(StatusCode::BAD_REQUEST, &json!({ "message": refusal }));
        }
        let get = request.method() == Method::GET;
        match path.as_str() {
            "/_ping" if get || request.method() == Method::HEAD => {
                self.response(StatusCode::OK, "text/plain; charset=utf-8", "OK".into())
            }
            "/version" if get => self.json(StatusCode::OK, &self.version()),
            "/info" if get => self.json(StatusCode::OK, &self.info()),
            "/containers/json" | "/images/json" if get => self.json(StatusCode::OK, &json!([])),
            _ => self.json(
                StatusCode::NOT_FOUND,
                &json!({ "message": "page not found" }),
            ),
        }
    }

    fn refuses(&self, version: &str) -> Option<String> {
        let (asked, oldest, newest) = (
            number(version),
            number(&self.min_api_version),
            number(&self.api_version),
        );
        if asked < oldest {
            Some(format!(
                "client version {version} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
                self.min_api_version
            ))
        } else if asked > newest {
            Some(format!(
                "client version {version} is too new. Maximum supported API version is {}",
                self.api_version
            ))
        } else {
            None
        }
    }

    /// Returns the body of `/version`.
    pub(super) fn version(&self) -> Value {
        json!({
            "Platform": { "Name": "Docker Engine - Community" },
            "Components": [{
                "Name": "Engine",
                "Version": self.version,
                "Details": { "ApiVersion": self.api_version, "MinAPIVersion": self.min_api_version, "Os": "linux", "Arch": "amd64" },
            }],
            "Version": self.version,
            "ApiVersion": self.api_version,
            "MinAPIVersion": self.min_api_version,
            "GitCommit": "0000000",
            "GoVersion": "go1.25.4",
            "Os": "linux",
            "Arch": "amd64",
            "KernelVersion": "6.1.0-42-cloud-amd64",
            "BuildTime": "2025-01-01T00:00:00.000000000+00:00",
        })
    }

    /// Returns the body of `/info`, as far as it depends on the daemon's flags.
    pub(super) fn info(&self) -> Value {
        let flags = &self.flags;
        json!({
            "ID": "00000000-0000-4000-8000-000000000000",
            "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 0,
            "Driver": flags.last("storage-driver").unwrap_or("overlay2"),
            "LoggingDriver": flags.last("log-driver").unwrap_or("json-file"),
            "CgroupDriver": "systemd", "CgroupVersion": "2",
            "KernelVersion": "6.1.0-42-cloud-amd64",
            "OperatingSystem": self.pretty_os,
            "OSType": "linux", "Architecture": "x86_64", "NCPU": 2, "MemTotal": 4_110_000_000_u64,
            "RegistryConfig": {
                "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
                "InsecureRegistries": flags.all("insecure-registry"),
                "Mirrors": flags.all("registry-mirror").iter().map(|mirror| format!("{}/", mirror.trim_end_matches('/'))).collect::<Vec<_>>(),
            },
            "Name": self.host_name,
            "Labels": flags.all("label"),
            "LiveRestoreEnabled": flags.on("live-restore"),
            "Debug": flags.on("debug"),
            "ServerVersion": self.version,
            "DefaultRuntime": flags.last("default-runtime").unwrap_or("runc"),
        })
    }

    fn json(&self, status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
        self.response(status, "application/json", format!("{body}\n"))
    }

    fn response(&self, status: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
        Response::builder()
            .status(status)
            .header("Api-Version", &self.api_version)
            .header("Content-Type", kind)
            .header("Docker-Experimental", "false")
            .header("Ostype", "linux")
            .header("Server", format!("Docker/{} (linux)", self.version))
            .body(Full::new(Bytes::from(body)))
            .unwrap_or_default()
    }
}

/// Parses an API version into numbers, for comparison: 1.5 is older than 1.44.
fn number(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
}
