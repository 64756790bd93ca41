//! Errors of copies.

use std::path::PathBuf;

use crate::SftpError;

/// Maximum depth of directories, that of scp(1): a link to a parent directory would make it infinite.
pub(crate) const DEEPEST: usize = 64;

/// Maximum number of failed entries. Two links to parent directories in one directory would make it infinite, too.
pub(crate) const MOST_FAILURES: usize = 10_000;

/// Reason why a copy ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// An error on a machine.
    #[error(transparent)]
    Remote(#[from] SftpError),
    /// A local error.
    #[error("{}", path.display())]
    Local {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A directory in a copy that is not recursive, or a device.
    #[error("{path}: not a regular file")]
    NotAFile {
        /// The path.
        path: String,
        /// Whether it is a directory.
        is_directory: bool,
    },
    /// The target is not a directory, but several sources or a directory were to be copied.
    #[error("{path}: not a directory")]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// The target of a file ends in a slash, and does not exist.
    #[error("{path}: no such directory")]
    NoDirectory {
        /// The path.
        path: String,
    },
    /// The target is the source, or a path in it.
    #[error("cannot copy {path} into itself: {to}")]
    IntoItself {
        /// The source.
        path: String,
        /// The target.
        to: String,
    },
    /// Directories are nested too deeply.
    #[error(
        "{path}: directories lie deeper than {DEEPEST} in each other; is there a link that leads upwards?"
    )]
    TooDeep {
        /// The path.
        path: String,
    },
    /// Some entries failed; the others were copied.
    #[error(
        "{}{failures} {} not copied",
        if *failures == MOST_FAILURES { "the copy has ended: " } else { "" },
        if *failures == 1 { "entry was" } else { "entries were" }
    )]
    Incomplete {
        /// Number of entries that failed.
        failures: usize,
    },
    /// Too many pending entries for the memory limit.
    #[error(
        "{path}: it and the directories above it have too many files: copy them with 'scp --delta', or as an archive"
    )]
    TooMany {
        /// The directory.
        path: String,
    },
    /// The file has many more bytes than its announced size.
    #[error("{path}: it does not end: {copied} bytes were copied of a file of {size} bytes")]
    Endless {
        /// The path.
        path: String,
        /// The announced size.
        size: u64,
        /// The number of bytes copied.
        copied: u64,
    },
    /// The file has fewer bytes than its announced size.
    #[error("{path}: it ended after {copied} of {size} bytes: it was changed during the copy")]
    Short {
        /// The path.
        path: String,
        /// The announced size.
        size: u64,
        /// The number of bytes copied.
        copied: u64,
    },
    /// The file is larger than the free space of the target's file system.
    #[error("{path}: no space for its {size} bytes: the file system of {to} has {free} bytes free")]
    NoSpace {
        /// The path.
        path: String,
        /// The announced size.
        size: u64,
        /// The target.
        to: String,
        /// The number of free bytes.
        free: u64,
    },
    /// A name in a listing leads out of the directory.
    #[error("{path}: its listing has {name:?}, which is not a file's name")]
    BadName {
        /// The directory.
        path: String,
        /// The name, printable.
        name: String,
    },
}

impl TransferError {
    /// Returns whether everything after this error would fail, too.
    pub(crate) fn ends_the_copy(&self) -> bool {
        match self {
            Self::Remote(SftpError::Remote { .. }) => false,
            Self::Remote(_) | Self::Incomplete { .. } => true,
            // The next directory would have as many files, and the next file would not end.
            Self::TooMany { .. } | Self::Endless { .. } => true,
            _ => false,
        }
    }
}
