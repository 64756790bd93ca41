//! Name resolution by `/etc/hosts` and `/etc/resolv.conf`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

/// Looks names up. Clones share the configuration and the cache. A resolver belongs to the tokio runtime of its first
/// lookup.
#[derive(Clone, Default)]
pub struct Resolver(Arc<OnceLock<TokioResolver>>);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// Returns the addresses of a host, IPv4 addresses first. An IP address, with or without brackets, is returned as
    /// it is, without reading any file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the name has no address; another kind if no name server answers or
    /// `/etc/resolv.conf` is invalid.
    pub async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![address]);
        }
        // Without the checks for internationalized names, which refuse an underscore.
        let name = Name::from_ascii(host).or_else(|_| Name::from_utf8(host));
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let found = self.made()?.lookup_ip(name).await;
        let found = found.map_err(|error| match error.is_no_records_found() {
            // The library's text is the debug format of the query.
            true => io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")),
            false => io::Error::other(error),
        })?;
        Ok(found.iter().collect())
    }

    fn made(&self) -> io::Result<&TokioResolver> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let (config, mut options) = configuration()?;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let provider = TokioRuntimeProvider::default();
        let made = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build()
            .map_err(io::Error::other)?;
        Ok(self.0.get_or_init(|| made))
    }
}

/// Reads `/etc/resolv.conf`. Without one the name server is this host (resolv.conf(5)).
fn configuration() -> io::Result<(ResolverConfig, ResolverOpts)> {
    match read_system_conf() {
        Err(NetError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let here = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![here]);
            Ok((config, ResolverOpts::default()))
        }
        read => read.map_err(io::Error::other),
    }
}

/// Returns the socket addresses of a host, as [`Resolver::look_up`] finds them.
///
/// # Errors
/// Same as [`Resolver::look_up`].
pub async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = Resolver::default().look_up(host).await?;
    Ok(found
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_resolves_to_itself() {
        for (text, address) in [
            ("127.0.0.9", "127.0.0.9:22"),
            ("::1", "[::1]:22"),
            ("[::1]", "[::1]:22"),
        ] {
            let found = addresses(text, 22).await;
            assert_eq!(found.ok(), address.parse().ok().map(|a| vec![a]), "{text}");
        }
    }

    #[tokio::test]
    async fn localhost_resolves() {
        let found = Resolver::default().look_up("localhost").await;
        let found = found.unwrap_or_default();
        assert_eq!(found.first(), Some(&Ipv4Addr::LOCALHOST.into()));
    }

    /// `/etc/hosts` and name servers of one's own have names with an underscore.
    #[tokio::test]
    async fn a_name_may_have_an_underscore() {
        let error = Resolver::default().look_up("my_host.invalid").await;
        assert!(error.is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    }

    /// RFC 6761 reserves `.invalid`; the resolver refuses it without a query.
    #[tokio::test]
    async fn a_name_without_an_address_is_an_error() {
        let error = Resolver::default().look_up("no-host.invalid").await;
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "no-host.invalid has no address");
    }
}
