//! The target state of a host.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use machine_types::{Secret, masked, printable, unquoted};

/// The target state of a host: the complete input of provisioning.
///
/// Provisioning is idempotent: two calls with the same plan give the same host, and the second one restarts nothing.
#[derive(Clone)]
pub struct Plan {
    /// The machine's name, for errors and spans.
    pub machine: String,
    /// The host's name: the machine's, or `--hostname-override`. Longer ones are shortened by
    /// [`host_name`](crate::host_name).
    pub hostname: String,
    /// The driver's name, for the label `provider=`.
    pub provider: String,
    /// The engine's options.
    pub engine: EngineConfig,
    /// The port that the engine listens on with TLS.
    pub engine_port: u16,
    /// Whether the engine is reached by an IPv6 address: it then listens on `[::]` instead of `0.0.0.0`, which on
    /// Linux accepts IPv4 too.
    pub ipv6: bool,
    /// `--engine-version`: the release to install or to change to; `None`: the newest.
    pub engine_version: Option<String>,
    /// The source of the install script.
    pub install: InstallSource,
    /// Fetches the install script on this machine, for a host that cannot. `None`: the distribution's package is the
    /// next choice.
    pub fetch: Option<Arc<dyn FetchScript>>,
    /// Certificates and key of the engine. `None`: it listens on its local socket only, and without any options of its
    /// own in the plan its configuration stays as it is.
    pub certificates: Option<Certificates>,
    /// Whether to open the engine's port if a firewall of the host blocks it. Otherwise only a warning names the
    /// firewall.
    pub open_firewall: bool,
}

/// The engine's options as the user typed them, without the dashes of their flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// `--engine-opt`: flags of dockerd, `log-opt=max-size=10m`.
    pub arbitrary_flags: Vec<String>,
    /// `--engine-env`: environment of dockerd, `NAME=value`.
    pub env: Vec<String>,
    /// `--engine-insecure-registry`.
    pub insecure_registry: Vec<String>,
    /// `--engine-label`.
    pub labels: Vec<String>,
    /// `--engine-registry-mirror`.
    pub registry_mirror: Vec<String>,
    /// `--engine-storage-driver`; empty: Docker chooses.
    pub storage_driver: String,
    /// `--engine-install-url`.
    pub install_url: String,
}

/// The engine's credentials, in PEM.
#[derive(Clone)]
pub struct Certificates {
    /// The CA's certificate.
    pub ca: String,
    /// The server's certificate.
    pub server: String,
    /// The server's key. It is sent to the host by standard input only, and has mode 0600 from its first byte.
    pub key: Secret,
}

/// The source of the install script. It is needed, and fetched, only if Docker is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallSource {
    /// Fetched by the host, else by [`FetchScript`], and run there by `sh`.
    Url(String),
    /// A file on this machine, sent to the host and run there by `sh`.
    File(PathBuf),
    /// A URL followed by a pipe or more, as the Go binary's shell accepted it: `curl -sSL … | sh`, run by `bash` on
    /// the host. Guides pin a release this way.
    Shell(String),
}

impl InstallSource {
    /// Parses `--engine-install-url`, without quotes that were meant for a shell: `file://` and values that begin
    /// with `/` or `.` are files, all others are fetched; `get.docker.com` without a scheme is accepted, as the Go
    /// binary's curl did. Characters that a shell obeys make it a shell command line.
    pub fn parse(text: &str) -> Self {
        let text = &unquoted(text.trim());
        // A URL contains none of these (RFC 3986, appendix A), and hardly ever one of the last two.
        let is_shell = text.contains(['|', '<', '>', '`', ' ', '\t', '\n', ';', '$']);
        match text.strip_prefix("file://") {
            Some(path) => Self::File(path.into()),
            None if is_shell && !text.starts_with(['/', '.']) => Self::Shell(text.to_owned()),
            None if text.contains("://") => Self::Url(text.to_owned()),
            None if text.is_empty() => Self::Url(DEFAULT_INSTALL_URL.to_owned()),
            None if text.starts_with(['/', '.']) => Self::File(text.into()),
            None => Self::Url(format!("https://{text}")),
        }
    }
}

/// The default of `--engine-install-url`.
const DEFAULT_INSTALL_URL: &str = "https://get.docker.com";

/// Returns whether the URL is Docker's own script, which does not support all systems.
pub(crate) fn is_default_install_url(url: &str) -> bool {
    url.trim_end_matches('/') == DEFAULT_INSTALL_URL
}

/// Returns an install URL for display: printable, and with secrets masked.
pub(crate) fn shown(url: &str) -> String {
    printable(masked(url).as_bytes())
}

/// Fetches an install script on this machine. Implemented by the caller, which has the HTTP client.
#[async_trait]
pub trait FetchScript: Send + Sync {
    /// Returns the body of the URL.
    ///
    /// # Errors
    /// The cause, in one sentence for the user. If Docker's own script cannot be fetched, the distribution's package
    /// is tried next.
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
    fn install_urls_are_files_urls_or_command_lines() {
        for (text, source) in [
            ("", InstallSource::Url(DEFAULT_INSTALL_URL.into())),
            ("https://x/y", InstallSource::Url("https://x/y".into())),
            ("file:///a/b", InstallSource::File("/a/b".into())),
            ("/a/b", InstallSource::File("/a/b".into())),
            ("./b", InstallSource::File("./b".into())),
            ("x.org/y", InstallSource::Url("https://x.org/y".into())),
            ("'https://x/y'", InstallSource::Url("https://x/y".into())),
            ("\"./b\"", InstallSource::File("./b".into())),
            ("./a b", InstallSource::File("./a b".into())),
            (
                "https://x?a=b&c=(d)",
                InstallSource::Url("https://x?a=b&c=(d)".into()),
            ),
            (
                "https://x;reboot",
                InstallSource::Shell("https://x;reboot".into()),
            ),
            (
                "https://x/$(arch)",
                InstallSource::Shell("https://x/$(arch)".into()),
            ),
            (
                "get.docker.com|head",
                InstallSource::Shell("get.docker.com|head".into()),
            ),
            (
                "https://x|cat - <(echo -e \"VERSION=1\\nX\")",
                InstallSource::Shell("https://x|cat - <(echo -e \"VERSION=1\\nX\")".into()),
            ),
        ] {
            assert_eq!(InstallSource::parse(text), source);
        }
    }

    #[test]
    fn passwords_of_urls_are_masked() {
        for (url, seen) in [
            ("https://u:p@x.org/a@b", "https://***@x.org/a@b"),
            ("https://x.org/a@b", "https://x.org/a@b"),
            ("http://u:p@x.org", "http://***@x.org"),
            ("https://x.org/y?token=p", "https://x.org/y?***"),
            ("/tmp/a@b", "/tmp/a@b"),
        ] {
            assert_eq!(shown(url), seen);
        }
    }
}
