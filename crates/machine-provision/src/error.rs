//! Why a host did not become what it should.

use std::fmt;
use std::path::PathBuf;

use crate::{Exit, RemoteError};

/// The part of provisioning in which something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Becoming root, and finding out what the host is.
    Detect,
    /// Waiting for cloud-init and for package managers.
    Boot,
    /// The host's name.
    HostName,
    /// Installing Docker, or moving it to another release.
    Install,
    /// Certificates and configuration.
    Configure,
    /// Starting the engine with them.
    Start,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detect => "looking at the host",
            Self::Boot => "waiting for the host's first boot",
            Self::HostName => "setting the host's name",
            Self::Install => "installing Docker",
            Self::Configure => "configuring Docker",
            Self::Start => "starting Docker",
        })
    }
}

/// Why a host did not become what it should. Whatever was done before stays done: a repeated
/// call goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// A command on the host failed.
    #[error("{stage} failed on {machine:?}: {what}: {exit}{said}")]
    Failed {
        /// The machine's name.
        machine: String,
        /// Where.
        stage: Stage,
        /// The command that failed, or what is wrong, in the script's words; printable.
        what: String,
        /// How the script ended.
        exit: Exit,
        /// Empty, or a line end and the last lines that were said, each printable.
        said: String,
        /// What to do about it, where the script knows.
        hint: Option<String>,
    },
    /// The script's end is not known.
    #[error("{stage} did not come to its end on {machine:?}")]
    Remote {
        /// The machine's name.
        machine: String,
        /// Where it was last.
        stage: Stage,
        /// What happened to the command.
        #[source]
        source: RemoteError,
    },
    /// The operation was cancelled.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// An install script of this machine cannot be read, or is not text.
    #[error("cannot read the install script {path}")]
    InstallScript {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An install script that nobody can fetch.
    #[error(
        "neither {machine:?} nor this machine can fetch the install script {url}: {reason}{said}"
    )]
    Unfetched {
        /// Its URL; printable.
        url: String,
        /// The machine's name.
        machine: String,
        /// Empty, or a line end and what the machine said, each line printable.
        said: String,
        /// Why it cannot be fetched from here; printable.
        reason: String,
    },
    /// An engine option cannot be handed to dockerd by systemd.
    #[error("engine option {option:?}: {reason}")]
    Option {
        /// The option, as it was given.
        option: String,
        /// Why.
        reason: &'static str,
    },
    /// An engine option that dockerd would not start with.
    #[error("invalid --{option} {value:?}: {reason}")]
    Invalid {
        /// The option.
        option: String,
        /// Its value; printable, without secrets.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// The host's own `daemon.json` is in the way.
    #[error("{path} of {machine:?}: {reason}")]
    DaemonJson {
        /// The machine's name.
        machine: String,
        /// The file on the host.
        path: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The host sends more than provisioning could ever have to say.
    #[error("{stage} was given up on {machine:?}: the host sends {what} without end")]
    Flood {
        /// The machine's name.
        machine: String,
        /// Where.
        stage: Stage,
        /// What there was too much of.
        what: &'static str,
    },
    /// Something else ran in the script's place: a login shell that runs no commands.
    #[error("the login shell of {machine:?} does not run the provisioning script: {exit}{said}")]
    NoScript {
        /// The machine's name.
        machine: String,
        /// How the login shell ended.
        exit: Exit,
        /// Empty, or a line end and what it said, each line printable.
        said: String,
    },
    /// The script did not tell how it ended.
    #[error("{machine:?} ended the provisioning script without a word about how it went{said}")]
    NoWord {
        /// The machine's name.
        machine: String,
        /// Empty, or a line end and the last lines that were said, each printable.
        said: String,
    },
}

impl ProvisionError {
    /// Returns what the user can do, where that is known.
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
