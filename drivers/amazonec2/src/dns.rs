//! Names to addresses without the C library, so that the binary can be linked statically.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use hickory_resolver::TokioResolver;

/// Asks the name servers of `/etc/resolv.conf`, after `/etc/hosts`. Both are read at the first question.
#[derive(Debug, Clone, Default)]
pub(crate) struct SystemDns {
    resolver: Arc<OnceLock<Resolver>>,
}

struct Resolver(TokioResolver);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl SystemDns {
    fn resolver(&self) -> Result<&TokioResolver, ResolveDnsError> {
        if let Some(resolver) = self.resolver.get() {
            return Ok(&resolver.0);
        }
        let made = TokioResolver::builder_tokio()
            .and_then(|builder| builder.build())
            .map_err(ResolveDnsError::new)?;
        Ok(&self.resolver.get_or_init(|| Resolver(made)).0)
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, ResolveDnsError> {
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        let found = self
            .resolver()?
            .lookup_ip(name)
            .await
            .map_err(ResolveDnsError::new)?;
        Ok(found.iter().collect())
    }
}

impl ResolveDns for SystemDns {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(self.look_up(name))
    }
}
