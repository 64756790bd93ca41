//! Copying files and directories between here and machines, and between two machines.

use std::path::PathBuf;

use machine_flow::Cx;

use crate::{Sftp, SftpError};

/// One end of a copy.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// A path of this computer.
    Local(&'a std::path::Path),
    /// A path of a machine, relative to the login's directory; empty is that directory.
    Remote(&'a Sftp, &'a str),
}

/// How to copy.
pub struct Copy<'a> {
    /// Whether directories are copied, with all that is in them and with their modes.
    pub recursive: bool,
    /// Is told of progress: called with each file's path as it starts and as its bytes move.
    pub progress: &'a mut (dyn FnMut(&str, u64, u64) + Send),
}

/// Copies, as `scp` does: into `to` where that is a directory, else to `to`. Existing files are
/// replaced, links are followed, modes of new files are the source's (less the umask's bits), and
/// with `recursive` exactly the source's.
///
/// # Errors
/// The first error ends it; what was copied stays, a file cut short included.
pub async fn copy(
    _from: Place<'_>,
    _to: Place<'_>,
    _options: Copy<'_>,
    _cx: &Cx,
) -> Result<(), TransferError> {
    todo!()
}

/// Why a copy ended early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// On a machine.
    #[error(transparent)]
    Remote(#[from] SftpError),
    /// Here.
    #[error("{}", path.display())]
    Local {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A directory, and nobody asked for directories.
    #[error("{path}: not a regular file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// A machine names a file in a way that leads out of the directory.
    #[error("{path}: the machine lists a file of the name {name}, which is not one")]
    BadName {
        /// The directory.
        path: String,
        /// The name, printable.
        name: String,
    },
}
