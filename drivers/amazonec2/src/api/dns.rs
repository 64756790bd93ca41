//! Names to addresses for the SDK's HTTP client.

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use machine_net::Resolver;

/// Looks up names of AWS and of proxies.
#[derive(Debug, Clone, Default)]
pub(crate) struct SystemDns(Resolver);

impl ResolveDns for SystemDns {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.0.look_up(name).await.map_err(ResolveDnsError::new) })
    }
}
