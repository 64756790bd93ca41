//! HTTP client for the SDK: proxies, certificates, DNS. Loads only what a call needs: system roots are read at the
//! first https request, and never for a plain HTTP endpoint.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::api::answer;
use crate::api::dns::SystemDns;
use crate::api::environment::{Environment, Proxy, authority};

/// The link-local metadata services of EC2 and of containers, which are never reached through a proxy.
const ON_THE_LINK: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
];

/// The SDK's HTTP client. Connections are kept between calls.
#[derive(Debug)]
pub(crate) struct Http {
    environment: Environment,
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

type Timeouts = (Option<Duration>, Option<Duration>);

impl Http {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            connectors: Mutex::default(),
        }
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

impl Http {
    /// Returns the connector with these timeouts.
    pub(crate) fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let key = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = self
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connector = connectors.entry(key).or_insert_with(|| {
            SharedHttpConnector::new(Routes {
                settings: settings.clone(),
                environment: self.environment.clone(),
                dns: SystemDns::default(),
                made: Mutex::default(),
            })
        });
        connector.clone()
    }
}

/// The route of a request to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Route {
    tls: bool,
    /// Whether to bypass all proxies.
    direct: bool,
}

impl Route {
    fn of(uri: &str, environment: &Environment) -> Self {
        let authority = authority(uri);
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let services = &environment.credential_services;
        Self {
            tls: uri.starts_with("https:"),
            direct: ON_THE_LINK.contains(&host)
                || is_this_computer(host)
                || services.iter().any(|service| service == authority),
        }
    }
}

/// Returns whether a host is this computer, which is never reached through a proxy, as in Go's programs (net/http,
/// `ProxyFromEnvironment`).
fn is_this_computer(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[derive(Debug)]
struct Routes {
    settings: HttpConnectorSettings,
    environment: Environment,
    dns: SystemDns,
    made: Mutex<HashMap<Route, SharedHttpConnector>>,
}

impl Routes {
    fn connector(&self, route: Route) -> Result<SharedHttpConnector, BadWay> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.get(&route) {
            return Ok(connector.clone());
        }
        let proxy = self.environment.proxy_of(route);
        // A proxy with TLS needs roots as well.
        let tls = route.tls || proxy.is_some_and(|proxy| proxy.url.starts_with("https:"));
        let proxy = match proxy {
            Some(proxy) => proxy_config(proxy, route, &self.environment.no_proxy)?,
            None => ProxyConfig::disabled(),
        };
        let trust = match tls {
            true => trust_store(&self.environment)?,
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
        made.insert(route, connector.clone());
        Ok(connector)
    }
}

impl HttpConnector for Routes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.connector(Route::of(request.uri(), &self.environment)) {
            Ok(connector) => {
                let answer = connector.call(request);
                HttpConnectorFuture::new(async move { answer::read(answer.await?).await })
            }
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

/// An environment variable for the route to AWS has an unusable value.
#[derive(Debug, thiserror::Error)]
enum BadWay {
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

impl Environment {
    fn proxy_of(&self, route: Route) -> Option<&Proxy> {
        match (route.direct, route.tls) {
            (true, _) => None,
            (false, true) => self.https_proxy.as_ref(),
            (false, false) => self.http_proxy.as_ref(),
        }
    }
}

fn proxy_config(proxy: &Proxy, route: Route, no_proxy: &str) -> Result<ProxyConfig, BadWay> {
    let url = proxy.url.as_str();
    let made = match route.tls {
        true => ProxyConfig::https(url),
        false => ProxyConfig::http(url),
    };
    match made {
        Ok(made) if url.starts_with("http:") || url.starts_with("https:") => {
            Ok(made.no_proxy(no_proxy))
        }
        // The underlying error may quote the proxy's password.
        _ => Err(BadWay::Proxy(proxy.variable)),
    }
}

fn trust_store(environment: &Environment) -> Result<TrustStore, BadWay> {
    let Some(path) = &environment.ca_bundle else {
        return Ok(TrustStore::default());
    };
    let pem = std::fs::read(path).map_err(|source| BadWay::Unreadable {
        path: path.clone(),
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
        Err(BadWay::Unusable { path: path.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_link_is_behind_no_proxy() {
        let environment = Environment {
            credential_services: vec!["metadata.example:8080".into()],
            ..Environment::default()
        };
        for (uri, tls, direct) in [
            ("http://169.254.169.254/latest/api/token", false, true),
            ("http://[fd00:ec2::254]/latest", false, true),
            ("http://metadata.example:8080/latest", false, true),
            ("http://metadata.example/latest", false, false),
            ("https://ec2.us-east-1.amazonaws.com/", true, false),
            ("https://localhost:8773/", true, true),
            ("http://127.0.0.1:5001/", false, true),
            ("http://10.0.0.1:5001/", false, false),
        ] {
            let route = Route::of(uri, &environment);
            assert_eq!(route, Route { tls, direct }, "{uri}");
        }
    }
}
