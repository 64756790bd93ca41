//! Pages that a test serves, over HTTP and over TLS, and a proxy in front of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The path that redirects to the page.
const ELSEWHERE: &str = "/elsewhere";

type Requests = Arc<Mutex<Vec<String>>>;

/// A server that returns the same page for every path. Dropping it ends the server.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    requests: Requests,
    authority: String,
    _server: JoinSet<()>,
}

impl Served {
    /// Serves a page over HTTP on loopback.
    pub async fn plain(page: Vec<u8>) -> Self {
        Self::serve("200 OK", page, None, String::new()).await
    }

    /// Serves status 404 for every path.
    pub async fn missing() -> Self {
        Self::serve("404 Not Found", b"no".to_vec(), None, String::new()).await
    }

    /// Serves a page over TLS, with a certificate for this name from a new authority.
    ///
    /// # Panics
    /// No certificate can be made.
    pub async fn tls(name: &str, page: Vec<u8>) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        Self::serve("200 OK", page, Some(acceptor), authority).await
    }

    async fn serve(
        status: &'static str,
        page: Vec<u8>,
        tls: Option<TlsAcceptor>,
        authority: String,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let (seen, mut server) = (requests.clone(), JoinSet::new());
        server.spawn(async move {
            let mut visits = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, page, seen) = (tls.clone(), page.clone(), seen.clone());
                visits.spawn(async move {
                    match tls {
                        None => answer(stream, status, &page, &seen).await,
                        Some(tls) => {
                            // A client that does not trust the certificate disconnects.
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, status, &page, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            requests,
            authority,
            _server: server,
        }
    }

    /// Returns the URL of the page.
    pub fn url(&self) -> String {
        format!("http://{}/page", self.address)
    }

    /// Returns the URL that redirects to the page.
    pub fn redirecting(&self) -> String {
        format!("http://{}{ELSEWHERE}", self.address)
    }

    /// Returns the certificate that a client has to trust, in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A proxy that forwards every request to one server. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    requests: Requests,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Starts it on loopback.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn to(served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, target) = (Requests::default(), served.address);
        let (seen, mut server) = (requests.clone(), JoinSet::new());
        server.spawn(async move {
            let mut visits = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let seen = seen.clone();
                visits.spawn(async move {
                    let head = head(&mut near).await;
                    let Ok(mut far) = TcpStream::connect(target).await else {
                        return;
                    };
                    if head.starts_with("CONNECT ") {
                        let _ = near.write_all(b"HTTP/1.1 200 Go ahead\r\n\r\n").await;
                    } else {
                        let _ = far.write_all(head.as_bytes()).await;
                    }
                    seen.lock().unwrap().push(head);
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            address,
            requests,
            _server: server,
        }
    }

    /// Returns its URL, with or without `USER:PASSWORD`.
    pub fn url(&self, user: &str) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        format!("http://{user}{at}{}", self.address)
    }

    /// Returns the heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer<S>(mut stream: S, status: &str, page: &[u8], seen: &Requests)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = head(&mut stream).await;
    let elsewhere = head.split(' ').nth(1) == Some(ELSEWHERE);
    seen.lock().unwrap().push(head);
    let (status, more, page) = match elsewhere {
        true => ("302 Found", "Location: /page\r\n", &b""[..]),
        false => (status, "", page),
    };
    let length = page.len();
    let head =
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // Errors of a client that has disconnected are ignored.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(page).await;
    let _ = stream.shutdown().await;
}

/// Reads a request up to its empty line; these requests have no body.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}
