//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine_ops::JournalError;
use machine_ops::files::FileError;
use machine_types::MachineName;

/// An error of the store. It names the machine or the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no directory of that name.
    #[error(
        "Docker machine \"{name}\" does not exist. Use \"docker-machine ls\" to list machines. Use \"docker-machine create\" to add a new one."
    )]
    NotFound {
        /// The machine.
        name: MachineName,
    },
    /// There is a directory of that name.
    #[error("Docker machine \"{name}\" already exists")]
    AlreadyExists {
        /// The machine.
        name: MachineName,
    },
    /// A machine's directory without a `config.json`, even after a moment.
    #[error("open {}: no such file or directory", path.display())]
    ConfigMissing {
        /// The file that is missing.
        path: PathBuf,
    },
    /// A file without a byte in it.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A `config.json` that is no JSON, or none of a machine.
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
    /// A file beyond the bound.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        limit: u64,
    },
    /// A directory, a FIFO, a socket or a device where a file should be.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What is there.
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
    /// A store's id that is none: not 32 hexadecimal digits.
    #[error("{} holds no store id (32 hexadecimal digits)", path.display())]
    BadStoreId {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the lock and goes on holding it.
    #[error("{what} is locked by {}, and was not released within {} s", holder(*pid), within.as_secs())]
    Locked {
        /// What the lock protects.
        what: String,
        /// The holder's process id on its own host, where it could be read.
        pid: Option<u32>,
        /// How long it was waited for.
        within: Duration,
    },
    /// The operation was cancelled while it waited.
    #[error("cancelled by {0}")]
    Cancelled(&'static str),
    /// The disk said no: full, read-only, broken, or not ours.
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

    /// Tells whether the file or the machine is simply not there.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::ConfigMissing { .. } => true,
            Self::Disk { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
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
