//! DNS resolution for the SDK's HTTP client.

use std::io;

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use machine_net::Resolver;

/// Resolves host names of AWS and of proxies.
#[derive(Debug, Clone, Default)]
pub(crate) struct SystemDns(Resolver);

impl ResolveDns for SystemDns {
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

/// A host name without an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {host}")]
pub(crate) struct Unresolved {
    /// The host name.
    pub host: String,
    source: io::Error,
}
