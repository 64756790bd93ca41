//! The network between the binary and AWS: a proxy, and TLS with a certificate of a test's own CA.
//!
//! Both forward to an address on loopback, for any host name: no request of a test leaves this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::web::read_head;

/// TLS in front of a plain server. Dropping it ends it.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    ca: String,
    _server: JoinSet<()>,
}

impl TlsFront {
    /// Accepts TLS for each of these names, with a certificate of a new CA, and forwards the data.
    ///
    /// # Panics
    /// Loopback has no free port.
    pub async fn before(to: SocketAddr, names: &[&str]) -> Self {
        let (ca, config) = certificates(names);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (address, server) = listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut to = TcpStream::connect(to).await.ok()?;
                copy_bidirectional(&mut stream, &mut to).await.ok()
            }
        })
        .await;
        Self {
            address,
            ca,
            _server: server,
        }
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the CA's certificate.
    pub fn ca(&self) -> &str {
        &self.ca
    }
}

fn certificates(names: &[&str]) -> (String, ServerConfig) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    (ca_certificate.pem(), config)
}

/// An HTTP proxy that forwards all requests to one address, and records their targets. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Forwards tunnels (`CONNECT`) to `tls`, and requests for plain URLs to `plain`.
    ///
    /// # Panics
    /// Loopback has no free port.
    pub async fn to(tls: SocketAddr, plain: SocketAddr) -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let log = heads.clone();
        let (address, server) = listen(move |mut stream| {
            let log = log.clone();
            async move {
                let (head, rest) = read_head(&mut stream).await?;
                log.lock().unwrap().push(head.clone());
                let is_tunnel = head.starts_with("CONNECT ");
                let to = if is_tunnel { tls } else { plain };
                let mut to = TcpStream::connect(to).await.ok()?;
                if is_tunnel {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                } else {
                    to.write_all(head.as_bytes()).await.ok()?;
                }
                to.write_all(&rest).await.ok()?;
                copy_bidirectional(&mut stream, &mut to).await.ok()
            }
        })
        .await;
        Self {
            address,
            heads,
            _server: server,
        }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the heads of all requests to it.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Returns the target of each request to it: `CONNECT host:port`, `POST http://…`.
    pub fn targets(&self) -> Vec<String> {
        let target = |head: String| {
            let mut words = head.split(' ');
            let (method, target) = (words.next(), words.next());
            format!(
                "{} {}",
                method.unwrap_or_default(),
                target.unwrap_or_default()
            )
        };
        self.heads().into_iter().map(target).collect()
    }
}

/// Serves each connection to a free port of loopback.
async fn listen<F, Fut>(serve: F) -> (SocketAddr, JoinSet<()>)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = Option<(u64, u64)>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    (address, server)
}
