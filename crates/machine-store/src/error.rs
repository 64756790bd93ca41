//! Errors of the store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::JournalError;
use machine_ops::files::FileError;
use machine_types::MachineName;

/// An error of the store. It names the machine or the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no machine directory of that name.
    #[error(
        "Docker machine \"{name}\" does not exist. Use \"docker-machine ls\" to list machines. Use \"docker-machine create\" to add a new one."
    )]
    NotFound {
        /// The machine.
        name: MachineName,
    },
    /// There is already a machine directory of that name.
    #[error("Docker machine \"{name}\" already exists")]
    AlreadyExists {
        /// The machine.
        name: MachineName,
    },
    /// A machine's directory has no `config.json`, even after a short wait.
    #[error("open {}: no such file or directory", path.display())]
    ConfigMissing {
        /// The file that is missing.
        path: PathBuf,
    },
    /// An empty file.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A `config.json` that is not JSON, or not a machine's configuration.
    #[error("{} is no machine's configuration", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A file that is not UTF-8.
    #[error("{} is not text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A file larger than the limit.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A directory, a FIFO, a socket or a device instead of a file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A `config.json` of a later version: it can be read, not written.
    #[error(
        "{} has ConfigVersion {version}, and this docker-machine writes {}: it was left as it is, use the docker-machine that wrote it",
        path.display(), crate::CONFIG_VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// An invalid store id: not 32 hexadecimal digits.
    #[error("{} does not contain a store id (32 hexadecimal digits)", path.display())]
    BadStoreId {
        /// The file.
        path: PathBuf,
    },
    /// A directory among the machines that holds a machine's files under a name that no machine can have.
    #[error("{} holds a machine's files, and has no machine's name", path.display())]
    Unaccounted {
        /// The directory.
        path: PathBuf,
    },
    /// Another process holds the lock beyond the timeout.
    #[error("{what} is locked by {}, and was not released within {} s", holder(*pid), within.as_secs())]
    Locked {
        /// The locked object.
        what: String,
        /// The holder's process id on its own host, if it could be read.
        pid: Option<u32>,
        /// The timeout.
        within: Duration,
    },
    /// The operation was cancelled during the wait.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// The disk returned an error: full, read-only, broken, or owned by another user.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// `read`, `write`, `create`, `rename`, `remove`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Disk {
                action,
                path,
                source,
            } => Self::Disk {
                action,
                path,
                source,
            },
            FileError::NotAFile { path } => Self::NotAFile { path },
            FileError::TooLarge { path, limit } => Self::TooLarge { path, limit },
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl StoreError {
    pub(crate) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Returns whether the file or the machine does not exist.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::ConfigMissing { .. } => true,
            Self::Disk { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Returns whether this user may not read or write the file, which may be another user's.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    pub(crate) fn into_journal(self, action: &'static str, path: &Path) -> JournalError {
        let source = match self {
            Self::Disk { source, .. } => source,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        };
        JournalError {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}
