//! What a host is to become.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use machine_types::{EngineOptions, Secret, printable};

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
}

impl InstallSource {
    /// Reads `--engine-install-url`: `file://` and what begins with `/` or `.` are files, the rest is
    /// fetched; `get.docker.com` without a scheme is what the Go binary's curl took as well.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("file://") {
            Some(path) => Self::File(path.into()),
            None if text.contains("://") => Self::Url(text.to_owned()),
            None if text.is_empty() => Self::Url(DEFAULT_INSTALL_URL.to_owned()),
            None if text.starts_with(['/', '.']) => Self::File(text.into()),
            None => Self::Url(format!("https://{text}")),
        }
    }
}

/// The default of `--engine-install-url`.
const DEFAULT_INSTALL_URL: &str = "https://get.docker.com";

/// Whether that is the script which Docker publishes, and which not all systems are known to.
pub(crate) fn is_default_install_url(url: &str) -> bool {
    url.trim_end_matches('/') == DEFAULT_INSTALL_URL
}

/// Returns an install URL as it may be shown: printable, and without the user and password in it.
pub(crate) fn shown(url: &str) -> String {
    let bare = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let at = rest.get(..end)?.rfind('@')?;
        Some(format!("{scheme}://{}", rest.get(at + 1..)?))
    });
    printable(bare.as_deref().unwrap_or(url).as_bytes())
}

/// Fetches an install script from here. Implemented by the caller, which has the HTTP client.
#[async_trait]
pub trait FetchScript: Send + Sync {
    /// Returns the body that the URL gives.
    ///
    /// # Errors
    /// Whatever was in the way, in one sentence: it is told to the user. For Docker's own script the
    /// distribution's package is tried then.
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
            ("x.org/y", InstallSource::Url("https://x.org/y".into())),
        ] {
            assert_eq!(InstallSource::parse(text), source);
        }
    }

    #[test]
    fn no_password_of_a_url_is_shown() {
        for (url, seen) in [
            ("https://u:p@x.org/a@b", "https://x.org/a@b"),
            ("https://x.org/a@b", "https://x.org/a@b"),
            ("http://u:p@x.org", "http://x.org"),
            ("/tmp/a@b", "/tmp/a@b"),
        ] {
            assert_eq!(shown(url), seen);
        }
    }
}
