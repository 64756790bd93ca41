//! HTTP for the SDK: proxies, certificates, names. What a call does not need is not made: system roots
//! are read at the first https request, and a plain endpoint never reads them.

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

use crate::dns::SystemDns;
use crate::environment::Environment;

/// The metadata services of EC2 and of containers: they are on the link, and behind no proxy.
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

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Route {
    Plain,
    Tls,
    /// Plain, and past all proxies.
    Link,
}

impl Route {
    fn of(uri: &str) -> Self {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        match scheme {
            _ if ON_THE_LINK.contains(&host) => Self::Link,
            "https" => Self::Tls,
            _ => Self::Plain,
        }
    }
}

#[derive(Debug)]
struct Routes {
    settings: HttpConnectorSettings,
    environment: Environment,
    dns: SystemDns,
    made: Mutex<HashMap<Route, SharedHttpConnector>>,
}

impl Routes {
    fn connector(&self, route: Route) -> Result<SharedHttpConnector, BadTrust> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.get(&route) {
            return Ok(connector.clone());
        }
        let proxy = match route {
            Route::Link => ProxyConfig::disabled(),
            // A proxy that is spoken to over TLS needs roots as well: it gets the route with them.
            Route::Plain | Route::Tls => ProxyConfig::from_env(),
        };
        let trust = match route {
            Route::Tls => trust_store(&self.environment)?,
            Route::Plain | Route::Link => TrustStore::empty(),
        };
        // An empty configuration cannot fail to build; were it to, the default one is as good.
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
        match self.connector(Route::of(request.uri())) {
            Ok(connector) => connector.call(request),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        }
    }
}

/// The certificates that a variable names cannot be used.
#[derive(Debug, thiserror::Error)]
enum BadTrust {
    #[error("cannot read the certificates in {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("there are no certificates in {path} that can be used")]
    Unusable { path: String },
}

fn trust_store(environment: &Environment) -> Result<TrustStore, BadTrust> {
    let Some(path) = &environment.ca_bundle else {
        return Ok(TrustStore::default());
    };
    let pem = std::fs::read(path).map_err(|source| BadTrust::Unreadable {
        path: path.clone(),
        source,
    })?;
    // The connector panics on what it cannot parse: it is handed what was parsed here.
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
        Err(BadTrust::Unusable { path: path.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_service_is_behind_no_proxy() {
        for (uri, route) in [
            ("http://169.254.169.254/latest/api/token", Route::Link),
            ("http://[fd00:ec2::254]/latest", Route::Link),
            ("https://ec2.us-east-1.amazonaws.com/", Route::Tls),
            ("http://127.0.0.1:5001/", Route::Plain),
        ] {
            assert_eq!(Route::of(uri), route, "{uri}");
        }
    }
}
