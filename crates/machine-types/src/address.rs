//! Addresses of a machine: its engine and its SSH server.

use std::fmt;
use std::path::PathBuf;

/// The port of the Docker Engine API over TLS, registered with IANA as `docker-s`.
pub const DOCKER_PORT: u16 = 2376;

/// The address of a Docker Engine: `tcp://HOST:PORT`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerUrl {
    /// A host name or an address, without brackets.
    pub host: String,
    /// The port, usually 2376.
    pub port: u16,
}

impl DockerUrl {
    /// Makes the URL of an engine on [`DOCKER_PORT`].
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: DOCKER_PORT,
        }
    }

    /// Reads `tcp://HOST:PORT`; `http` and `https` are accepted too, because the connection uses TLS in any case. A
    /// path and a login are ignored. Returns `None` for any other scheme, an empty host or an invalid port.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, authority) = url.split_once("://")?;
        let schemes = ["tcp", "http", "https"];
        if !schemes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
        {
            return None;
        }
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => DOCKER_PORT,
        };
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Returns `HOST:PORT`, as dialled and as shown in errors.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for DockerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}", self.authority())
    }
}

/// The address and login name for SSH to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshEndpoint {
    /// A host name or an address, without brackets.
    pub host: String,
    /// The port of sshd.
    pub port: u16,
    /// The login name.
    pub user: String,
    /// The private key's file; without one the SSH client tries the agent and the user's own keys.
    pub key: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_print_as_docker_reads_them() {
        assert_eq!(
            DockerUrl::new("10.0.0.7").to_string(),
            "tcp://10.0.0.7:2376"
        );
        assert_eq!(
            DockerUrl::new("2001:db8::7").to_string(),
            "tcp://[2001:db8::7]:2376"
        );
    }

    #[test]
    fn urls_are_read_back() {
        for url in [
            "tcp://10.0.0.7:2376",
            "tcp://[2001:db8::7]:1",
            "tcp://h.example:65535",
        ] {
            assert_eq!(DockerUrl::parse(url).unwrap().to_string(), url);
        }
        assert_eq!(DockerUrl::parse("tcp://h").unwrap().port, DOCKER_PORT);
        assert_eq!(DockerUrl::parse("tcp://h:1/x").unwrap().port, 1);
        for url in ["http://h:1", "HTTPS://h:1", "tcp://user:word@h:1"] {
            assert_eq!(DockerUrl::parse(url).unwrap().to_string(), "tcp://h:1");
        }
        for url in [
            "",
            "h:1",
            "unix:///var/run/docker.sock",
            "tcp://",
            "tcp://:1",
            "tcp://h:x",
            "tcp://h:70000",
        ] {
            assert_eq!(DockerUrl::parse(url), None, "{url:?}");
        }
    }
}
