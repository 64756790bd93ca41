//! The HTTP client: proxies, certificates, name resolution. Loads only what a request needs: system roots are read at
//! the first https request, and never for a plain one.
//!
//! It is the connector of AWS's SDK, which pools connections and knows nothing of AWS. Redirections and overall
//! timeouts are the caller's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::Resolver;

/// A proxy from a variable. Its URL may hold a password; `Debug` does not show it.
#[derive(Clone)]
pub struct Proxy {
    /// The variable's name, for messages.
    pub variable: &'static str,
    /// The URL; `http` if the variable has only a host.
    pub url: String,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.variable)
    }
}

/// How hosts are reached, and whose certificates are trusted.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The proxy for plain URLs.
    pub http_proxy: Option<Proxy>,
    /// The proxy for https URLs.
    pub https_proxy: Option<Proxy>,
    /// The hosts that bypass the proxies, in the form of `NO_PROXY`.
    pub no_proxy: String,
    /// Further servers that bypass the proxies, as `HOST` or `HOST:PORT`.
    pub direct: Vec<String>,
    /// The file with the certificates to trust in place of the system's (PEM).
    pub ca_bundle: Option<String>,
}

impl Route {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, also in lower case, as Go's programs do (`ALL_PROXY` is not
    /// among them), and `SSL_CERT_FILE`.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let proxy = |names: [&'static str; 2]| {
            let named = |variable| Some((variable, text(variable)?));
            let (variable, given) = names.into_iter().find_map(named)?;
            let url = match given.contains("://") {
                true => given,
                false => format!("http://{given}"),
            };
            Some(Proxy { variable, url })
        };
        Self {
            http_proxy: proxy(["HTTP_PROXY", "http_proxy"]),
            https_proxy: proxy(["HTTPS_PROXY", "https_proxy"]),
            no_proxy: ["NO_PROXY", "no_proxy"]
                .into_iter()
                .find_map(text)
                .unwrap_or_default(),
            direct: Vec::new(),
            ca_bundle: text("SSL_CERT_FILE"),
        }
    }

    fn proxy(&self, way: Way) -> Option<&Proxy> {
        match (way.direct, way.tls) {
            (true, _) => None,
            (false, true) => self.https_proxy.as_ref(),
            (false, false) => self.http_proxy.as_ref(),
        }
    }
}

/// An HTTP client. Connections are kept between requests. Clones share them.
#[derive(Debug, Clone)]
pub struct Http {
    route: Arc<Route>,
    connectors: Arc<Mutex<HashMap<Timeouts, SharedHttpConnector>>>,
}

/// The timeouts of a connection and of a read.
type Timeouts = (Option<Duration>, Option<Duration>);

impl Http {
    /// Creates a client. Reads no file and makes no connection.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self {
            route: Arc::new(route),
            connectors: Arc::default(),
        }
    }

    /// Returns the connector with these timeouts. A request fails with a [`ConnectorError`]: `user` if the route has an
    /// unusable proxy or certificate file, otherwise of the connection.
    #[must_use]
    pub fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let key = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = self
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connector = connectors.entry(key).or_insert_with(|| {
            SharedHttpConnector::new(Ways {
                settings: settings.clone(),
                route: self.route.clone(),
                dns: Dns::default(),
                made: Mutex::default(),
            })
        });
        connector.clone()
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.connector(settings)
    }
}

/// What the connector of a request depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    tls: bool,
    /// Whether to bypass all proxies.
    direct: bool,
}

impl Way {
    fn of(url: &str, route: &Route) -> Self {
        let authority = authority(url).rsplit('@').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        Self {
            tls: url.starts_with("https:"),
            direct: is_this_computer(host)
                || route.direct.iter().any(|to| to == authority || to == host),
        }
    }
}

/// Returns `HOST:PORT` of a URL, as written in it.
#[must_use]
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Returns whether a host is this computer, which is never reached through a proxy, as in Go's programs (net/http,
/// `ProxyFromEnvironment`).
fn is_this_computer(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[derive(Debug)]
struct Ways {
    settings: HttpConnectorSettings,
    route: Arc<Route>,
    dns: Dns,
    made: Mutex<HashMap<Way, SharedHttpConnector>>,
}

impl Ways {
    fn connector(&self, way: Way) -> Result<SharedHttpConnector, BadRoute> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.get(&way) {
            return Ok(connector.clone());
        }
        let proxy = self.route.proxy(way);
        // A proxy with TLS needs roots as well.
        let tls = way.tls || proxy.is_some_and(|proxy| proxy.url.starts_with("https:"));
        let proxy = match proxy {
            Some(proxy) => proxy_config(proxy, way, &self.route.no_proxy)?,
            None => ProxyConfig::disabled(),
        };
        let trust = match tls {
            true => trust_store(self.route.ca_bundle.as_deref())?,
            false => TrustStore::empty(),
        };
        // An empty configuration cannot fail to build; the fallback is the default one.
        let context = TlsContext::builder()
            .with_trust_store(trust)
            .build()
            .unwrap_or_default();
        let connector = Connector::builder()
            .connector_settings(self.settings.clone())
            .proxy_config(proxy)
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_with_resolver(self.dns.clone());
        let connector = SharedHttpConnector::new(connector);
        made.insert(way, connector.clone());
        Ok(connector)
    }
}

impl HttpConnector for Ways {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.connector(Way::of(request.uri(), &self.route)) {
            Ok(connector) => connector.call(request),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

/// A setting of the route is unusable.
#[derive(Debug, thiserror::Error)]
enum BadRoute {
    #[error("cannot read the certificates in {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("there are no certificates in {path} that can be used")]
    Unusable { path: String },
    #[error(
        "{0} is not the URL of a proxy that can be used: http://HOST:PORT or https://HOST:PORT"
    )]
    Proxy(&'static str),
}

fn proxy_config(proxy: &Proxy, way: Way, no_proxy: &str) -> Result<ProxyConfig, BadRoute> {
    let url = proxy.url.as_str();
    let made = match way.tls {
        true => ProxyConfig::https(url),
        false => ProxyConfig::http(url),
    };
    match made {
        Ok(made) if url.starts_with("http:") || url.starts_with("https:") => {
            Ok(made.no_proxy(no_proxy))
        }
        // The underlying error may quote the proxy's password.
        _ => Err(BadRoute::Proxy(proxy.variable)),
    }
}

fn trust_store(ca_bundle: Option<&str>) -> Result<TrustStore, BadRoute> {
    let Some(path) = ca_bundle else {
        return Ok(TrustStore::default());
    };
    let pem = std::fs::read(path).map_err(|source| BadRoute::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    // The connector panics on certificates that it cannot parse, so they are parsed here first.
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let mut roots = RootCertStore::empty();
    let usable = certificates.is_ok_and(|found| {
        !found.is_empty()
            && found
                .into_iter()
                .all(|certificate| roots.add(certificate).is_ok())
    });
    if usable {
        Ok(TrustStore::empty().with_pem_certificate(pem))
    } else {
        Err(BadRoute::Unusable {
            path: path.to_owned(),
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Dns(Resolver);

impl ResolveDns for Dns {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = self.0.look_up(name).await;
            found.map_err(|source| {
                ResolveDnsError::new(Unresolved {
                    host: name.to_owned(),
                    source,
                })
            })
        })
    }
}

/// A host name without an address. It is in the chain of sources of a [`ConnectorError`].
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {host}")]
pub struct Unresolved {
    /// The host name.
    pub host: String,
    source: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_direct_servers_are_behind_no_proxy() {
        let route = Route {
            direct: vec!["169.254.169.254".into(), "metadata.example:8080".into()],
            ..Route::default()
        };
        for (url, tls, direct) in [
            ("http://169.254.169.254/latest/api/token", false, true),
            ("http://169.254.169.254:80/latest", false, true),
            ("http://metadata.example:8080/latest", false, true),
            ("http://metadata.example/latest", false, false),
            ("https://cloud.example/", true, false),
            ("https://localhost:8773/", true, true),
            ("http://127.0.0.1:5001/", false, true),
            ("http://user:pw@127.0.0.1:5001/", false, true),
            ("http://[::1]:5001/", false, true),
            ("http://10.0.0.1:5001/", false, false),
        ] {
            assert_eq!(Way::of(url, &route), Way { tls, direct }, "{url}");
        }
    }

    #[test]
    fn a_proxy_may_be_a_host_alone() {
        let route = Route::read(|name| match name {
            "https_proxy" => Some("proxy.example:3128".into()),
            "HTTP_PROXY" => Some(String::new()),
            _ => None,
        });
        let proxy = route.https_proxy.unwrap();
        assert_eq!(proxy.variable, "https_proxy");
        assert_eq!(proxy.url, "http://proxy.example:3128");
        assert!(route.http_proxy.is_none());
    }
}
