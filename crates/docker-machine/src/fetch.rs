//! Downloads an install script on this computer, for a host that has no Internet access or no download tool.
//!
//! Sends one GET request with hyper, through the proxies that Go's programs honour, over TLS with this system's root
//! certificates. Constructs and reads nothing until the first download, which is rare.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use libmachine::{FetchScript, RemoteError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::environment::Environment;

/// Overall timeout, redirections included. The script of get.docker.com has 24 KB.
const WITHIN: Duration = Duration::from_secs(60);

/// Maximum size of a script, in bytes.
const LONGEST: usize = 4 << 20;

/// Maximum number of redirections; curl follows 50.
const REDIRECTIONS: usize = 10;

/// Downloads over HTTP and HTTPS.
#[derive(Debug)]
pub(crate) struct Fetch {
    proxies: Matcher,
}

/// Reason why a download failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("it is no http:// or https:// URL")]
    NoUrl,
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
    #[error("{0} redirects to nowhere")]
    Nowhere(String),
    #[error("{0} redirects away from TLS")]
    AwayFromTls(String),
    #[error("too many redirections")]
    Redirections,
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(String, std::io::Error),
    #[error("the certificates of this system cannot be used: {0}")]
    Roots(String),
    #[error("the proxy {0} answers {1}")]
    Proxy(String, StatusCode),
    #[error("unsupported proxy scheme in {0}: expected http or https")]
    NoProxy(String),
    #[error("no answer from {0}: {1}")]
    Http(String, hyper::Error),
    #[error("the answer of {0} breaks off or is longer than 4 MiB: {1}")]
    Body(String, RemoteError),
    #[error("it takes longer than a minute")]
    Slow,
}

impl Fetch {
    /// Reads the proxy settings.
    pub(crate) fn new(environment: &Environment) -> Self {
        let first = |names: [&str; 2]| {
            let value = names.iter().find_map(|name| environment.get(name));
            value.unwrap_or_default().to_owned()
        };
        Self {
            proxies: Matcher::builder()
                .http(first(["HTTP_PROXY", "http_proxy"]))
                .https(first(["HTTPS_PROXY", "https_proxy"]))
                .no(first(["NO_PROXY", "no_proxy"]))
                .build(),
        }
    }

    async fn follow(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut uri = parse(url)?;
        for _ in 0..REDIRECTIONS {
            let (place, answer) = (place(&uri), self.get(&uri).await?);
            if !answer.status().is_redirection() {
                return body(&place, answer).await;
            }
            let next = answer.headers().get(LOCATION);
            let next = next.and_then(|next| next.to_str().ok()).unwrap_or_default();
            let next = match next.strip_prefix('/') {
                Some(path) if !path.starts_with('/') => {
                    format!("{}://{place}/{path}", uri.scheme_str().unwrap_or_default())
                }
                _ => next.to_owned(),
            };
            let next = parse(&next).map_err(|_| FetchError::Nowhere(place.clone()))?;
            if is_tls(&uri) && !is_tls(&next) {
                return Err(FetchError::AwayFromTls(place));
            }
            uri = next;
        }
        Err(FetchError::Redirections)
    }

    async fn get(&self, uri: &Uri) -> Result<Response<Incoming>, FetchError> {
        let proxy = self.proxies.intercept(uri);
        let mut stream = connect(proxy.as_ref().map_or(uri, Intercept::uri)).await?;
        if let Some(proxy) = proxy.as_ref().filter(|proxy| is_tls(proxy.uri())) {
            stream = tls(stream, proxy.uri()).await?;
        }
        let mut request = Request::get(uri.clone());
        if is_tls(uri) {
            if let Some(proxy) = &proxy {
                stream = tunnel(stream, uri, proxy).await?;
            }
            stream = tls(stream, uri).await?;
        } else if let Some(auth) = proxy.as_ref().and_then(Intercept::basic_auth) {
            request = request.header(PROXY_AUTHORIZATION, auth);
        }
        // A proxy receives the whole URL, a server only the path (RFC 9112, 3.2).
        if is_tls(uri) || proxy.is_none() {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            request = request.uri(path);
        }
        send(stream, uri, request).await
    }
}

#[async_trait]
impl FetchScript for Fetch {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        let fetched = tokio::time::timeout(WITHIN, self.follow(url)).await;
        Ok(fetched.map_err(|_| FetchError::Slow)??)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn parse(url: &str) -> Result<Uri, FetchError> {
    let uri: Option<Uri> = url.parse().ok();
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        .ok_or(FetchError::NoUrl)
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Returns the server for `Host:` and for errors, without the password that a URL may contain.
fn place(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let place = authority.rsplit('@').next();
    place.unwrap_or_default().to_owned()
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_matches(['[', ']'])
}

fn port(uri: &Uri) -> u16 {
    let default = if is_tls(uri) { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
}

async fn connect(near: &Uri) -> Result<Box<dyn Stream>, FetchError> {
    if !matches!(near.scheme_str(), Some("http" | "https")) {
        return Err(FetchError::NoProxy(place(near)));
    }
    let connected = async {
        let addresses = machine_net::addresses(host(near), port(near)).await?;
        TcpStream::connect(addresses.as_slice()).await
    };
    Ok(Box::new(connected.await.map_err(|error| {
        FetchError::Connect(place(near), error)
    })?))
}

/// Asks a proxy for a tunnel to the server (RFC 9110, 9.3.6).
async fn tunnel(
    stream: Box<dyn Stream>,
    to: &Uri,
    proxy: &Intercept,
) -> Result<Box<dyn Stream>, FetchError> {
    let mut request = Request::builder().method(Method::CONNECT).uri(format!(
        "{}:{}",
        to.host().unwrap_or_default(),
        port(to)
    ));
    if let Some(auth) = proxy.basic_auth() {
        request = request.header(PROXY_AUTHORIZATION, auth);
    }
    let answer = send(stream, to, request).await?;
    if !answer.status().is_success() {
        return Err(FetchError::Proxy(place(proxy.uri()), answer.status()));
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = upgraded.map_err(|error| FetchError::Http(place(proxy.uri()), error))?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

async fn tls(stream: Box<dyn Stream>, uri: &Uri) -> Result<Box<dyn Stream>, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(FetchError::Roots(why.join("; ")));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Roots(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host(uri).to_owned());
    let name = name.map_err(|_| FetchError::NoUrl)?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream);
    Ok(Box::new(
        secured
            .await
            .map_err(|error| FetchError::Tls(place(uri), error))?,
    ))
}

async fn send(
    stream: Box<dyn Stream>,
    uri: &Uri,
    request: hyper::http::request::Builder,
) -> Result<Response<Incoming>, FetchError> {
    let broken = |error| FetchError::Http(place(uri), error);
    let host = HeaderValue::from_str(&place(uri));
    let request = request
        .header(HOST, host.unwrap_or(HeaderValue::from_static("")))
        .header(USER_AGENT, "docker-machine")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::NoUrl)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    // The task ends with the response, or with the tunnel that the response opens.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(broken)
}

async fn body(place: &str, answer: Response<Incoming>) -> Result<Vec<u8>, FetchError> {
    if !answer.status().is_success() {
        return Err(FetchError::Status(place.to_owned(), answer.status()));
    }
    let whole = Limited::new(answer.into_body(), LONGEST).collect().await;
    let whole = whole.map_err(|error| FetchError::Body(place.to_owned(), error))?;
    Ok(whole.to_bytes().to_vec())
}
