//! What a host is to become.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use machine_types::{EngineOptions, Secret};

/// What a host is to become: everything that provisioning needs to know.
///
/// Two calls with the same plan leave the same host, and the second one restarts nothing.
#[derive(Clone)]
pub struct Plan {
    /// The machine's name, for errors and spans.
    pub machine: String,
    /// The host's name: the machine's, or `--hostname-override`. Longer ones are shortened by
    /// [`host_name`](crate::host_name).
    pub hostname: String,
    /// The driver's name, for the label `provider=`.
    pub provider: String,
    /// The engine's options, from the machine's record.
    pub engine: EngineOptions,
    /// The port that the engine listens on with TLS.
    pub engine_port: u16,
    /// Whether the engine is reached by an IPv6 address: it then listens on `[::]`, which on Linux
    /// takes IPv4 too, in place of `0.0.0.0`.
    pub ipv6: bool,
    /// `--engine-version`: the release to install, or to move to; `None`: the newest.
    pub engine_version: Option<String>,
    /// Where the install script comes from.
    pub install: InstallSource,
    /// Fetches the install script from here, for a host that cannot. `None`: the distribution's
    /// package is the next choice.
    pub fetch: Option<Arc<dyn FetchScript>>,
    /// Certificates and key of the engine.
    pub certificates: Certificates,
    /// Whether a firewall of the host that hides the engine's port is opened. Else it is only named.
    pub open_firewall: bool,
}

/// What the engine proves itself with, in PEM.
#[derive(Clone)]
pub struct Certificates {
    /// The CA's certificate.
    pub ca: String,
    /// The server's certificate.
    pub server: String,
    /// The server's key. It reaches the host by standard input alone, and is 0600 from its first byte.
    pub key: Secret,
}

/// Where the install script comes from. It is needed, and looked for, only where Docker is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallSource {
    /// Fetched by the host, else by [`FetchScript`], and run there by `sh`.
    Url(String),
    /// A file on this machine, sent to the host and run there by `sh`.
    File(PathBuf),
    /// `--custom-install-script`: a file on this machine that, run by `sh` on the host, replaces
    /// installing and configuring Docker altogether. The host gets its name before.
    Custom(PathBuf),
}

impl InstallSource {
    /// Reads `--engine-install-url`: `file://` and what is no URL are files, the rest is fetched.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("file://") {
            Some(path) => Self::File(path.into()),
            None if text.contains("://") => Self::Url(text.to_owned()),
            None if text.is_empty() => Self::Url(DEFAULT_INSTALL_URL.to_owned()),
            None => Self::File(text.into()),
        }
    }
}

/// The default of `--engine-install-url`.
pub(crate) const DEFAULT_INSTALL_URL: &str = "https://get.docker.com";

/// Fetches an install script from here. Implemented by the caller, which has the HTTP client.
#[async_trait]
pub trait FetchScript: Send + Sync {
    /// Returns the body that the URL gives.
    ///
    /// # Errors
    /// Whatever was in the way; it is told to the user, and the distribution's package is tried.
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>;
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_urls_are_files_or_fetched() {
        for (text, source) in [
            ("", InstallSource::Url(DEFAULT_INSTALL_URL.into())),
            ("https://x/y", InstallSource::Url("https://x/y".into())),
            ("file:///a/b", InstallSource::File("/a/b".into())),
            ("/a/b", InstallSource::File("/a/b".into())),
            ("./b", InstallSource::File("./b".into())),
        ] {
            assert_eq!(InstallSource::parse(text), source);
        }
    }
}
