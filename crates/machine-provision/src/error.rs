//! Errors of provisioning.

use std::fmt;
use std::path::PathBuf;

use crate::{Exit, RemoteError};

/// The stage of provisioning in which an error occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Becoming root, and detecting the host's system.
    Detect,
    /// Waiting for cloud-init and for package managers.
    Boot,
    /// The host's name.
    HostName,
    /// Installing Docker, or changing its release.
    Install,
    /// Certificates and configuration.
    Configure,
    /// Starting the engine with the new configuration.
    Start,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detect => "detecting the host's system",
            Self::Boot => "waiting for the host's first boot",
            Self::HostName => "setting the host's name",
            Self::Install => "installing Docker",
            Self::Configure => "configuring Docker",
            Self::Start => "starting Docker",
        })
    }
}

/// The cause of a failed provisioning. Completed changes stay; a repeated call continues from there.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// A command on the host failed.
    #[error("{stage} failed on {machine:?}: {what}: {exit}{said}")]
    Failed {
        /// The machine's name.
        machine: String,
        /// The stage.
        stage: Stage,
        /// The failed command, or the problem, in the script's words; printable.
        what: String,
        /// The exit status of the script.
        exit: Exit,
        /// Empty, or a line end and the last lines of output, each printable.
        said: String,
        /// The remedy, if the script knows one.
        hint: Option<String>,
    },
    /// The outcome of the script is unknown.
    #[error("{stage} did not complete on {machine:?}")]
    Remote {
        /// The machine's name.
        machine: String,
        /// The last known stage.
        stage: Stage,
        /// The error of the remote command.
        #[source]
        source: RemoteError,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// An install script on this machine cannot be read, or is not text.
    #[error("cannot read the install script {path}")]
    InstallScript {
        /// Its path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An install script that neither the host nor this machine can fetch.
    #[error(
        "neither {machine:?} nor this machine can fetch the install script {url}: {reason}{said}"
    )]
    Unfetched {
        /// Its URL; printable.
        url: String,
        /// The machine's name.
        machine: String,
        /// Empty, or a line end and the host's output, each line printable.
        said: String,
        /// The error of the fetch on this machine; printable.
        reason: String,
    },
    /// An engine option that systemd cannot pass to dockerd.
    #[error("engine option {option:?}: {reason}")]
    Option {
        /// The option, as given.
        option: String,
        /// The reason.
        reason: &'static str,
    },
    /// A host name that no host can have.
    #[error(
        "invalid host name {0:?}: expected letters, digits, dots and dashes, and no dot or dash at the start (--hostname-override)"
    )]
    HostName(String),
    /// An engine option with which dockerd would not start.
    #[error("invalid --{option} {value:?}: {reason}")]
    Invalid {
        /// The option.
        option: String,
        /// Its value; printable, without secrets.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// The host's own `daemon.json` is invalid.
    #[error("{path} of {machine:?}: {reason}")]
    DaemonJson {
        /// The machine's name.
        machine: String,
        /// The file on the host.
        path: &'static str,
        /// The problem.
        reason: String,
    },
    /// The host sends more output than provisioning allows.
    #[error("{stage} was aborted on {machine:?}: the host sends {what} without end")]
    Flood {
        /// The machine's name.
        machine: String,
        /// The stage.
        stage: Stage,
        /// The kind of output that exceeded its limit.
        what: &'static str,
    },
    /// Another program ran instead of the script: a login shell that runs no commands.
    #[error("the login shell of {machine:?} does not run the provisioning script: {exit}{said}")]
    NoScript {
        /// The machine's name.
        machine: String,
        /// The exit status of the login shell.
        exit: Exit,
        /// Empty, or a line end and its output, each line printable.
        said: String,
    },
    /// The script ended without reporting a result.
    #[error("{machine:?} ended the provisioning script without reporting a result{said}")]
    NoWord {
        /// The machine's name.
        machine: String,
        /// Empty, or a line end and the last lines of output, each printable.
        said: String,
    },
}

impl ProvisionError {
    /// Returns the remedy for the user, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { hint, .. } => hint.clone(),
            Self::NoScript { .. } => Some(
                "let the login user have a shell that runs commands (usermod --shell /bin/sh USER), or use another user".to_owned(),
            ),
            Self::DaemonJson { path, .. } => Some(format!(
                "repair or remove {path} on the host, then provision again"
            )),
            Self::Unfetched { .. } => Some(
                "check the URL; --engine-install-url takes a file of this machine as well, and an image with Docker needs neither".to_owned(),
            ),
            _ => None,
        }
    }
}
